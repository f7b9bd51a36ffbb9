// The schema and its resolvers, as one would write them with the driver and a loader for each kind: one query for the
// page, one each for its roles, groups and last sign-ins.
import DataLoader from "dataloader";
import { MongoClient } from "mongodb";

const client = new MongoClient(process.env.MONGO, { maxPoolSize: 50 });
const db = client.db();
// Nobody signs in here: the page is always the first account's.
const account = (await db.collection("accounts").find().sort({ _id: 1 }).limit(1).next())._id;

const id = (document) => document._id.toHexString();
const key = { cacheKeyFn: (id) => id.toHexString() };

// Documents by their ids, in that order.
const byId = (collection) =>
  new DataLoader(async (ids) => {
    const found = await db.collection(collection).find({ _id: { $in: ids } }).toArray();
    const known = new Map(found.map((document) => [id(document), document]));
    return ids.map((id) => known.get(id.toHexString()) ?? null);
  }, key);

// The last five sign-ins of each user.
const lastSignIns = () =>
  new DataLoader(async (users) => {
    const found = await db
      .collection("logins")
      .aggregate([
        { $match: { user: { $in: users } } },
        { $sort: { user: 1, at: -1 } },
        { $group: { _id: "$user", items: { $firstN: { n: 5, input: "$$ROOT" } } } },
      ])
      .toArray();
    const known = new Map(found.map((group) => [id(group), group.items]));
    return users.map((user) => known.get(user.toHexString()) ?? []);
  }, key);

// Made anew for each request.
export const loaders = () => ({ roles: byId("roles"), groups: byId("groups"), signIns: lastSignIns() });

export const typeDefs = `
  type Role { id: ID! name: String! }
  type Group { id: ID! name: String! }
  type LoginEvent { id: ID! at: String! outcome: String! browser: String ip: String location: String }
  type LoginEdge { cursor: String! node: LoginEvent! }
  type LoginConnection { edges: [LoginEdge!]! }
  type User {
    id: ID! login: String! firstName: String lastName: String email: String phone: String language: String
    isLdap: Boolean! isMaster: Boolean!
    roles: [Role!]! groups: [Group!]! loginHistory(first: Int!): LoginConnection!
  }
  type UserEdge { cursor: String! node: User! }
  type PageInfo { hasNextPage: Boolean! endCursor: String }
  type UserConnection { edges: [UserEdge!]! pageInfo: PageInfo! }
  type Query { users(first: Int!, after: String): UserConnection! }`;

const users = async (_, { first, after }) => {
  const filter = after ? { account, login: { $gt: after } } : { account };
  // One more than asked for tells whether there is a next page.
  const found = await db.collection("users").find(filter).sort({ login: 1 }).limit(first + 1).toArray();
  const hasNextPage = found.length > first;
  if (hasNextPage) found.pop();
  const edges = found.map((user) => ({ cursor: user.login, node: user }));
  return { edges, pageInfo: { hasNextPage, endCursor: found.at(-1)?.login } };
};

const loginHistory = async (user, { first }, { signIns }) => {
  const events = (await signIns.load(user._id)).slice(0, first);
  return { edges: events.map((event) => ({ cursor: id(event), node: event })) };
};

export const resolvers = {
  Query: { users },
  User: {
    id,
    loginHistory,
    roles: (user, _, { roles }) => roles.loadMany(user.roles),
    groups: (user, _, { groups }) => groups.loadMany(user.groups),
  },
  Role: { id },
  Group: { id },
  LoginEvent: { id, at: (event) => event.at.toISOString() },
};
