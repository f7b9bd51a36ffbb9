// Mercurius with graphql-jit, over the peers' database. `MONGO`, `PORT`: as for Apollo; answers on /graphql.
import Fastify from "fastify";
import mercurius from "mercurius";
import { loaders, resolvers, typeDefs } from "./data.mjs";

const app = Fastify();
// jit: a query is compiled after it was asked once.
app.register(mercurius, { schema: typeDefs, resolvers, context: () => loaders(), jit: 1 });
await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
