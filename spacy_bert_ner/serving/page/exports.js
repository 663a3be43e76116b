// What is copied. JavaScript counts UTF-16 units, annotation tools and Python count characters.

export function characters(text) {
  const at = [0];
  let count = 0;
  for (const character of text) {
    for (let unit = 0; unit < character.length; unit += 1) at.push(count + 1);
    count += 1;
    if (character.length === 2) at[at.length - 2] = count - 1;
  }
  return (unit) => at[unit];
}

export function asJson(text, entities, model) {
  const count = characters(text);
  const plain = entities.map((entity) => ({ ...entity, start: count(entity.start), end: count(entity.end) }));
  return JSON.stringify({ model, text, entities: plain }, null, 2);
}

// One line of the form that Prodigy writes and `bert-ner convert` reads.
export function asJsonl(text, entities) {
  const count = characters(text);
  const spans = entities.map(({ start, end, label }) => ({ start: count(start), end: count(end), label }));
  return `${JSON.stringify({ text, spans })}\n`;
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without HTTPS there is no clipboard but on this machine itself.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
