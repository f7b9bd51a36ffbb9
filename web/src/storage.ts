import type { Storage } from "@graphiql/toolkit";

const PREFIX = "graphiql:";

// `password: "…"` in GraphQL and `"password": "…"` in JSON; also tokens, secrets and the Authorization header.
const SECRET = /("?\w*(?:password|token|secret|authorization)"?\s*:\s*)"(?:[^"\\]|\\.)*"/gi;

/** The value with the literals of secret fields emptied, however deep: GraphiQL keeps JSON inside JSON. */
function withoutSecrets(value: unknown): unknown {
  if (typeof value === "string") {
    return value.replace(SECRET, '$1""');
  }
  if (Array.isArray(value)) {
    return value.map(withoutSecrets);
  }
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutSecrets(inner)]));
  }
  return value;
}

function redact(text: string): string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return text.replace(SECRET, '$1""');
  }
  // Tabs and history are objects of GraphiQL's own; the variables editor is plain JSON of the person's.
  return JSON.stringify(withoutSecrets(parsed)).replace(SECRET, '$1""');
}

/**
 * GraphiQL keeps its tabs and its history in the browser's local storage, variables included. A password typed into the
 * sign-in example must not stay there, so what is stored loses the values of secret fields first.
 */
export const storage: Storage = {
  getItem: (key) => localStorage.getItem(key),
  setItem: (key, value) => localStorage.setItem(key, redact(value)),
  removeItem: (key) => localStorage.removeItem(key),
  clear: () => ownKeys().forEach((key) => localStorage.removeItem(key)),
  get length() {
    return ownKeys().length;
  },
};

function ownKeys(): string[] {
  return Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
}
