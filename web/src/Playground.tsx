import { DOC_EXPLORER_PLUGIN, DocExplorerStore } from "@graphiql/plugin-doc-explorer";
import { explorerPlugin } from "@graphiql/plugin-explorer";
import { HISTORY_PLUGIN, HistoryStore } from "@graphiql/plugin-history";
import { GraphiQLProvider, useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { createGraphiQLFetcher, type Fetcher } from "@graphiql/toolkit";
import { GraphiQL, GraphiQLInterface } from "graphiql";
import { parse } from "graphql";
import { useEffect, useMemo, useRef } from "react";
import { GRAPHQL_PATH } from "./api";
import { ExamplesMenu } from "./ExamplesMenu";
import { FIRST_TABS } from "./examples";
import { SessionBar } from "./SessionBar";
import { useSession, type Session } from "./session";
import { storage } from "./storage";

const PLUGINS = [DOC_EXPLORER_PLUGIN, HISTORY_PLUGIN, explorerPlugin()];

const url = new URL(GRAPHQL_PATH, location.href);
const subscriptionUrl = new URL(url);
subscriptionUrl.protocol = url.protocol === "https:" ? "wss:" : "ws:";

// With a URL in place of a client, the socket is made when a subscription runs, and an Authorization header from the
// headers editor becomes its connection_init payload.
const fetcher = createGraphiQLFetcher({
  url: url.href,
  subscriptionUrl: subscriptionUrl.href,
  enableIncrementalDelivery: false,
});

/**
 * What is really run. By its document the fetcher tells a subscription, and GraphiQL's own is a moment behind the editor:
 * of a tab that was just opened it may still be the last tab's.
 */
function parsed(query: string) {
  try {
    return { documentAST: parse(query) };
  } catch {
    return {}; // the server says what is wrong with it
  }
}

/** GraphiQL under a bar with the session and the examples. */
export function Playground() {
  const { session, refresh } = useSession();

  // A mutation run in the editor may sign in or out; the bar must not go on naming somebody else.
  const observed = useMemo<Fetcher>(
    () => async (params, options) => {
      const result = await fetcher(params, { ...options, ...parsed(params.query) });
      if (/\bmutation\b/.test(params.query)) {
        void refresh();
      }
      return result;
    },
    [refresh],
  );

  return (
    <GraphiQLProvider
      fetcher={observed}
      plugins={PLUGINS}
      referencePlugin={DOC_EXPLORER_PLUGIN}
      defaultTabs={FIRST_TABS}
      storage={storage}
      inputValueDeprecation
      schemaDescription
    >
      <HistoryStore>
        <DocExplorerStore>
          <SchemaRefresher session={session} />
          <ThemeFollower />
          <header className="bar">
            <h1>Doorward</h1>
            <ExamplesMenu />
            <SessionBar session={session} refresh={refresh} />
          </header>
          <main>
            <GraphiQLInterface defaultEditorToolsVisibility="variables">
              <GraphiQL.Logo>GraphiQL</GraphiQL.Logo>
            </GraphiQLInterface>
          </main>
        </DocExplorerStore>
      </HistoryStore>
    </GraphiQLProvider>
  );
}

/** Asks for the schema again when somebody else is signed in, or the same person may do more than before. */
function SchemaRefresher({ session }: { session: Session }) {
  const { introspect } = useGraphiQLActions();
  const identity = session.state === "person" ? `${session.id} ${session.mustChangePassword}` : session.state;
  const shown = useRef("unknown");
  useEffect(() => {
    // The first answer of all changes nothing: GraphiQL has just asked with the same cookie.
    if (shown.current !== "unknown" && shown.current !== identity) {
      void introspect();
    }
    shown.current = identity;
  }, [identity, introspect]);
  return null;
}

/** Recolours the editors when the system turns dark or light; GraphiQL looks at that only once. */
function ThemeFollower() {
  const { setTheme } = useGraphiQLActions();
  const theme = useGraphiQL((state) => state.theme);
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const recolour = () => setTheme(theme);
    dark.addEventListener("change", recolour);
    return () => dark.removeEventListener("change", recolour);
  }, [theme, setTheme]);
  return null;
}
