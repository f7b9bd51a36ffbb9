// A mail server that fails the way a test tells it to: node server.mjs FOLDER PORT
//
// It listens on 127.0.0.1:PORT until its standard input ends, and finds or leaves in FOLDER:
//
//   options.json     { tls: "starttls" | "implicit" | "none", authMethods: [], user, password }; without methods nobody
//                    signs in, with methods everybody has to
//   server.pem, .key its certificate, unless tls is "none"
//   behaviour.json   what goes wrong, read anew at every step: a list of
//                      { kind: "defer" | "hang" | "drop", at: STAGE }   answers 451 (421 as a greeting), answers nothing and
//                                                                       holds the connection, or ends it without a word
//                      { kind: "reject", address }                      550 to recipients whose address contains that
//                      { kind: "refuseAuth" }                           535 to everybody
//                      { kind: "slow", ms }                             waits that long before each stage
//   mail/N.eml       what was accepted, byte for byte, numbered from 1 on
//   mail/N.json      its envelope; a message is there when this file is
//   events           a line of JSON for each thing that happened
//
// Stages: greeting, mail, recipient, body (some of the message has come), end (all of it has), stored (it is kept, and
// the answer is still to come: whether it arrived, only the server knows).
import { appendFileSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SMTPServer } from "smtp-server";

const [folder, port] = process.argv.slice(2);
if (!folder || !port) {
  console.error("usage: node server.mjs FOLDER PORT");
  process.exit(2);
}

const options = JSON.parse(readFileSync(join(folder, "options.json"), "utf8"));
const mail = join(folder, "mail");
mkdirSync(mail, { recursive: true });
// Numbers go on after a restart, also after a message that was killed half-way.
let last = Math.max(0, ...readdirSync(mail).map((name) => Number.parseInt(name, 10)));

const behaviours = () => JSON.parse(readFileSync(join(folder, "behaviour.json"), "utf8"));
const note = (event, more) => appendFileSync(join(folder, "events"), `${JSON.stringify({ event, ...more })}\n`);

function write(name, content) {
  const path = join(mail, name);
  writeFileSync(`${path}.partial`, content);
  renameSync(`${path}.partial`, path);
}

const answer = (code, text) => Object.assign(new Error(text), { responseCode: code });
const never = () => new Promise(() => {});

// The connections by the client's port; with TLS what speaks it.
const sockets = new Map();

// Ends when the session may go on from this stage; fails with an answer.
async function pass(stage, session) {
  for (const behaviour of behaviours()) {
    if (behaviour.kind === "slow") {
      await sleep(behaviour.ms);
    } else if (behaviour.at === stage) {
      note(behaviour.kind, { at: stage });
      if (behaviour.kind === "defer") {
        throw answer(stage === "greeting" ? 421 : 451, "Not now, try again later");
      }
      if (behaviour.kind === "drop") {
        sockets.get(session.remotePort)?.destroy();
      }
      await never();
    }
  }
}

async function recipient(address, session) {
  await pass("recipient", session);
  if (behaviours().some(({ kind, address: part }) => kind === "reject" && address.includes(part))) {
    note("reject", { to: address });
    throw answer(550, "No such mailbox here");
  }
}

async function signIn({ method, username, password }, session) {
  const refused = behaviours().some(({ kind }) => kind === "refuseAuth");
  const succeeded = !refused && username === options.user && password === options.password;
  note("auth", { method, user: username, succeeded, tls: session.secure });
  if (!succeeded) {
    throw answer(535, "User name or password is wrong");
  }
  return { user: username };
}

// Keeps a message; gives its number.
async function keep(stream, session) {
  const chunks = [];
  let refusal;
  for await (const chunk of stream) {
    if (chunks.length === 0) {
      // To fail in this loop would end the stream.
      refusal = await pass("body", session).catch((error) => error);
    }
    chunks.push(chunk);
  }
  if (refusal) {
    throw refusal;
  }
  await pass("end", session);
  const id = ++last;
  const { mailFrom, rcptTo } = session.envelope;
  const envelope = {
    from: mailFrom.address,
    to: rcptTo.map(({ address }) => address),
    tls: session.secure,
    user: session.user || null,
    at: new Date().toISOString(),
  };
  write(`${id}.eml`, Buffer.concat(chunks));
  write(`${id}.json`, JSON.stringify(envelope));
  note("stored", { id });
  await pass("stored", session);
  return id;
}

const server = new SMTPServer({
  name: "mail.example.org",
  secure: options.tls === "implicit",
  ...(options.tls === "none"
    ? {}
    : { cert: readFileSync(join(folder, "server.pem")), key: readFileSync(join(folder, "server.key")) }),
  authMethods: options.authMethods,
  disabledCommands: [
    ...(options.tls === "starttls" ? [] : ["STARTTLS"]),
    ...(options.authMethods.length > 0 ? [] : ["AUTH"]),
  ],
  disableReverseLookup: true,
  size: 32 * 1024 * 1024,
  // Whoever hangs here does so for longer than any test waits.
  socketTimeout: 600_000,
  onConnect: (session, done) => void pass("greeting", session).then(() => done(), done),
  onSecure: (socket, session, done) => {
    sockets.set(session.remotePort, socket);
    done();
  },
  onAuth: (auth, session, done) => void signIn(auth, session).then((found) => done(null, found), done),
  onMailFrom: (_address, session, done) => void pass("mail", session).then(() => done(), done),
  onRcptTo: ({ address }, session, done) => void recipient(address, session).then(() => done(), done),
  onData: (stream, session, done) => {
    keep(stream, session).then((id) => {
      done();
      // Behind the answer: once this is written, that was handed to the network.
      sockets.get(session.remotePort)?.write("", (error) => {
        if (!error) {
          note("answered", { id });
        }
      });
    }, done);
  },
});

// Clients that go away in the middle, and those that do not trust the certificate.
server.on("error", ({ code, message }) => note("error", { code, message }));
server.server.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
server.server.on("connection", (socket) => {
  const { remotePort } = socket;
  sockets.set(remotePort, socket);
  note("connect");
  socket.on("close", () => {
    sockets.delete(remotePort);
    note("close");
  });
});
server.listen(Number(port), "127.0.0.1", () => note("listening"));
process.stdin.resume().on("end", () => process.exit());
