/** Where the gateway answers GraphQL, on the page's own origin. */
export const GRAPHQL_PATH = "/graphql";

/** What a person can read and act on; every failure of `request` is one. */
export class RequestError extends Error {}

interface GraphQLResponse<Data> {
  data?: Data | null;
  errors?: { message: string }[];
}

/**
 * Sends one operation as the person whose cookie the browser holds.
 * The cookie is HttpOnly and goes to the same origin only, so no script ever sees a token.
 */
export async function request<Data>(query: string, variables: Record<string, unknown> = {}): Promise<Data> {
  let response: Response;
  try {
    response = await fetch(GRAPHQL_PATH, {
      method: "POST",
      credentials: "same-origin",
      headers: {
        "content-type": "application/json",
        accept: "application/graphql-response+json, application/json;q=0.9",
      },
      body: JSON.stringify({ query, variables }),
    });
  } catch {
    throw new RequestError("The server cannot be reached. Check that it is running, then try again.");
  }
  let body: GraphQLResponse<Data>;
  try {
    body = (await response.json()) as GraphQLResponse<Data>;
  } catch {
    throw new RequestError(`The server answered with HTTP status ${response.status} and no GraphQL response. Try again.`);
  }
  if (body.errors?.length) {
    throw new RequestError(body.errors.map((error) => error.message).join(" "));
  }
  if (!body.data) {
    throw new RequestError(`The server answered with HTTP status ${response.status} and no data. Try again.`);
  }
  return body.data;
}
