// Audits a running server for GraphQL over HTTP: node audit.mjs http://127.0.0.1:8080/graphql
// Prints what is not kept, with the server's answer, and exits with 1 when there is any.
import { serverAudits } from "graphql-http";

const [url] = process.argv.slice(2);
if (!url) {
  console.error("usage: node audit.mjs URL");
  process.exit(2);
}

// The audits of version 1.23.1; fewer would mean that some are not looked at any more.
const EXPECTED = 61;

const audits = serverAudits({ url, fetchFn: fetch });
let kept = 0;
for (const audit of audits) {
  const result = await audit.fn();
  if (result.status === "ok") {
    kept += 1;
    continue;
  }
  const answer = result.response;
  console.log(`${result.status} ${audit.id} ${audit.name}: ${result.reason}`);
  console.log(`  answered ${answer.status} ${answer.headers.get("content-type")}`);
}
console.log(`${kept} of ${audits.length} audits kept`);
process.exit(kept === audits.length && audits.length === EXPECTED ? 0 : 1);
