// Asks the server; its errors become sentences.

const PATIENCE = 6; // times that a busy server is asked again

/** Sends a file. Returns the response, or throws an Error with the server's words. */
export async function ask(path, body) {
  for (let attempt = 1; ; attempt += 1) {
    let response;
    try {
      response = await fetch(path, { method: "POST", body });
    } catch {
      throw new Error("The server cannot be reached.");
    }
    if (response.ok) return response;
    const error = await errorOf(response);
    if (response.status !== 503 || attempt === PATIENCE) throw error;
    await seconds(Number(response.headers.get("Retry-After")) || 1);
  }
}

/** The model that answers now; throws an Error that says why there is none. */
export async function currentModel() {
  let response;
  try {
    response = await fetch("/v1/model");
  } catch {
    throw new Error("The server cannot be reached.");
  }
  if (!response.ok) throw await errorOf(response);
  return response.json();
}

export const versionOf = (response) => Number(response.headers.get("X-Hardmine-Version"));

export const seconds = (number) =>
  new Promise((resolve) => { setTimeout(resolve, 1000 * number); });

async function errorOf(response) {
  const answer = await response.json().catch(() => null);
  const words = answer?.error?.message ?? `The server answered ${response.status}.`;
  return Object.assign(new Error(words), {
    status: response.status,
    version: versionOf(response),
  });
}
