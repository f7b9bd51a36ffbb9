import { ChevronDownIcon, DropdownMenu, useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { EXAMPLES, SUBSCRIPTION_EXAMPLES, type Example } from "./examples";

/** Opens an example in a tab of its own, or goes to the tab that already shows it. */
export function ExamplesMenu() {
  const { addTab, changeTab, setOperationName, updateActiveTabValues } = useGraphiQLActions();
  const tabs = useGraphiQL((state) => state.tabs);
  const queryEditor = useGraphiQL((state) => state.queryEditor);
  const variableEditor = useGraphiQL((state) => state.variableEditor);
  const hasSubscriptions = useGraphiQL((state) => Boolean(state.schema?.getSubscriptionType()));

  function open({ query, variables }: Example) {
    const shown = tabs.findIndex((tab) => tab.query === query);
    if (shown >= 0) {
      changeTab(shown);
    } else {
      addTab();
      updateActiveTabValues({ query, variables });
      queryEditor?.setValue(query);
      variableEditor?.setValue(variables);
    }
    // GraphiQL itself reads the name only a moment later: whoever is quick to press play would run the last tab's.
    const name = /\b(?:query|mutation|subscription)\s+(\w+)/.exec(query)?.[1];
    if (name) setOperationName(name);
  }

  return (
    <DropdownMenu>
      <DropdownMenu.Button className="bar-button" disabled={!queryEditor}>
        Examples <ChevronDownIcon aria-hidden="true" />
      </DropdownMenu.Button>
      <DropdownMenu.Content align="start">
        {[...EXAMPLES, ...(hasSubscriptions ? SUBSCRIPTION_EXAMPLES : [])].map((example) => (
          <DropdownMenu.Item key={example.title} onSelect={() => open(example)}>
            {example.title}
          </DropdownMenu.Item>
        ))}
      </DropdownMenu.Content>
    </DropdownMenu>
  );
}
