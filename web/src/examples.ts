/** An operation that the Examples menu offers; `variables` is JSON as it stands in the variables editor. */
export interface Example {
  title: string;
  query: string;
  variables: string;
}

const viewer: Example = {
  title: "Who am I",
  query: `# Who is signed in, and what they may do.
# null is nobody: use the form at the top.
query Viewer {
  viewer {
    user { id qualifiedLogin firstName lastName }
    account { id name title timeZone }
    isMaster
    isOperator
    permissions
  }
}
`,
  variables: "",
};

const dashboard: Example = {
  title: "People for a dashboard",
  query: `# A page of people with roles, groups and their
# last five sign-ins. For the next page pass
# endCursor as $after.
query Dashboard($first: Int!, $after: String) {
  users(first: $first, after: $after) {
    edges {
      cursor
      node {
        id
        login
        firstName
        lastName
        email
        phone
        language
        isLdap
        isMaster
        roles { id name }
        groups { id name }
        loginHistory(first: 5) {
          edges {
            node {
              at
              outcome
              browser
              ip
              location { country city }
            }
          }
        }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}
`,
  variables: JSON.stringify({ first: 50, after: null }, null, 2),
};

const findPeople: Example = {
  title: "Find people",
  query: `# Every field of the filter must hold. search is a
# prefix of the login, the names or the address.
query FindPeople($filter: UserFilter, $orderBy: UserOrder) {
  users(first: 20, filter: $filter, orderBy: $orderBy) {
    totalCount
    nodes {
      id
      qualifiedLogin
      firstName
      lastName
      status
      isLdap
      lockedUntil
      lastLogin { at ip }
    }
    pageInfo { hasNextPage endCursor }
  }
}
`,
  variables: JSON.stringify(
    { filter: { search: "", status: "ACTIVE" }, orderBy: { field: "LAST_LOGIN", direction: "DESC" } },
    null,
    2,
  ),
};

const loginHistory: Example = {
  title: "Login history",
  query: `# Newest first. Without outcomes: every attempt.
query LoginHistory($filter: LoginEventFilter) {
  loginHistory(first: 20, filter: $filter) {
    nodes {
      at
      attemptedLogin
      outcome
      method
      ip
      location { country city }
      browser
      operatingSystem
      user { id qualifiedLogin }
    }
    pageInfo { hasNextPage endCursor }
  }
}
`,
  variables: JSON.stringify({ filter: { outcomes: ["SUCCESS", "WRONG_PASSWORD", "UNKNOWN_USER"] } }, null, 2),
};

const signIn: Example = {
  title: "Sign in from a program",
  query: `# The form at the top signs this page in. A program
# sends this, and then with each request the header
#   Authorization: Bearer TOKEN
mutation SignIn($input: SignInInput!) {
  signIn(input: $input) {
    token
    mustChangePassword
    user { id login }
    userErrors { code message retryAfterSeconds }
  }
}
`,
  variables: JSON.stringify({ input: { login: "owner@acme", password: "" } }, null, 2),
};

const signIns: Example = {
  title: "Sign-ins as they happen",
  query: `# A subscription: a WebSocket opens when it is run
# and closes when it is stopped.
subscription SignIns {
  loginEvents {
    at
    attemptedLogin
    outcome
    ip
    browser
  }
}
`,
  variables: "",
};

/** The tabs of somebody's first visit. The first has no variables: GraphiQL shows a tab's only after switching to it. */
export const FIRST_TABS: Example[] = [viewer, dashboard];

export const EXAMPLES: Example[] = [viewer, dashboard, findPeople, loginHistory, signIn];

/** Offered only when the schema has subscriptions. */
export const SUBSCRIPTION_EXAMPLES: Example[] = [signIns];
