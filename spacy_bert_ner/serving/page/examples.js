// What can be clicked, by the language of the model.
export const EXAMPLES = {
  en: [
    ["News", "Angela Merkel met officials of the World Health Organization in Geneva on Monday. “We agreed on most points,” said Tedros Adhanom Ghebreyesus, its director, before he flew back to Addis Ababa."],
    ["Sport", "SOCCER - ARSENAL DRAW AT HOME AGAINST REAL MADRID.\nLONDON 2024-09-17\nBukayo Saka scored for Arsenal in the Champions League, but Vinicius Junior equalised for Madrid."],
    ["Business", "Siemens AG of Munich will buy a stake in Acme Robotics, the Boston start-up that Jane Smith founded after she left MIT. Deutsche Bank advised on the deal."],
    ["Odd", "<script>alert(\"IBM\")</script> & 🚀 from Cape Canaveral to the Moon, tweeted Elon Musk 🎉 about SpaceX."],
  ],
  de: [["Nachricht", "Angela Merkel traf in Genf Vertreter der Weltgesundheitsorganisation. Siemens eröffnet in München ein Werk."]],
  es: [["Noticia", "Pedro Sánchez se reunió en Ginebra con representantes de la Organización Mundial de la Salud."]],
  fr: [["Nouvelle", "Emmanuel Macron a rencontré à Genève des représentants de l’Organisation mondiale de la santé."]],
  zh: [["新闻", "约翰在巴黎会见了世界卫生组织的代表。"]],
};

export function examplesFor(lang) {
  return EXAMPLES[lang] ?? EXAMPLES.en;
}
