// What the page asks the service.

export class Problem extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

// The key stays in this page, for as long as it is open.
let key = "";

export function useKey(value) {
  key = value;
}

export async function ask(path, body, signal) {
  const headers = { accept: "application/json" };
  if (body) headers["content-type"] = "application/json";
  if (key) headers.authorization = `Bearer ${key}`;
  let response;
  try {
    response = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The service does not answer: is it still running?", 0);
  }
  let answer;
  try {
    answer = await response.json();
  } catch {
    throw new Problem(`The service answered ${response.status} without JSON`, response.status);
  }
  if (!response.ok) throw new Problem(answer.error ?? `The service answered ${response.status}`, response.status);
  return answer;
}

export async function readFile(file) {
  if (file.size > 2 ** 22) throw new Problem(`${file.name} has ${file.size} bytes: expected at most ${2 ** 22}`, 0);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    throw new Problem(`${file.name} is no text in UTF-8: save it as plain text`, 0);
  }
}
