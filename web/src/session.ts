import { useCallback, useEffect, useState } from "react";
import { request, RequestError } from "./api";

/** Who the page's requests come from. */
export type Session =
  | { state: "unknown" }
  | { state: "unreachable"; reason: string }
  | { state: "nobody" }
  | { state: "person"; id: string; name: string; mustChangePassword: boolean };

interface UserError {
  message: string;
  retryAfterSeconds: number | null;
}

const USER_ERRORS = "userErrors { message retryAfterSeconds }";

/** `null` when it worked, else why not, in words. */
export type Refusal = string | null;

function refusal(errors: UserError[]): Refusal {
  if (errors.length === 0) {
    return null;
  }
  return errors
    .map(({ message, retryAfterSeconds }) =>
      retryAfterSeconds === null ? message : `${message} Try again in ${inWords(retryAfterSeconds)}.`,
    )
    .join(" ");
}

function inWords(seconds: number): string {
  const [count, unit] = seconds < 90 ? [seconds, "second"] : [Math.ceil(seconds / 60), "minute"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

/** Turns what `request` throws into a refusal, so that a form has one kind of failure to show. */
async function attempt(run: () => Promise<UserError[]>): Promise<Refusal> {
  try {
    return refusal(await run());
  } catch (error) {
    if (error instanceof RequestError) {
      return error.message;
    }
    throw error;
  }
}

/** Signs in and lets the server set its cookie; no token reaches this page. */
export function signIn(login: string, password: string): Promise<Refusal> {
  return attempt(async () => {
    const data = await request<{ signIn: { userErrors: UserError[] } }>(
      `mutation SignIn($input: SignInInput!) { signIn(input: $input) { ${USER_ERRORS} } }`,
      { input: { login, password, cookie: true } },
    );
    return data.signIn.userErrors;
  });
}

export function signOut(): Promise<Refusal> {
  return attempt(async () => {
    await request("mutation SignOut { signOut { done } }");
    return [];
  });
}

export function changePassword(currentPassword: string, newPassword: string): Promise<Refusal> {
  return attempt(async () => {
    const data = await request<{ changePassword: { userErrors: UserError[] } }>(
      `mutation ChangePassword($input: ChangePasswordInput!) { changePassword(input: $input) { ${USER_ERRORS} } }`,
      { input: { currentPassword, newPassword } },
    );
    return data.changePassword.userErrors;
  });
}

async function currentSession(): Promise<Session> {
  try {
    // Until the password is changed these are the only fields that the server shows.
    const { viewer } = await request<{
      viewer: { user: { id: string; login: string; mustChangePassword: boolean } | null } | null;
    }>("query WhoAmI { viewer { user { id login mustChangePassword } } }");
    const user = viewer?.user;
    if (!user) {
      return { state: "nobody" };
    }
    const person = { state: "person", id: user.id, mustChangePassword: user.mustChangePassword } as const;
    return { ...person, name: user.mustChangePassword ? user.login : await qualifiedLogin(user.login) };
  } catch (error) {
    if (error instanceof RequestError) {
      return { state: "unreachable", reason: error.message };
    }
    throw error;
  }
}

/** The login with its account; the bare login when the session ended between the two requests. */
async function qualifiedLogin(login: string): Promise<string> {
  const { viewer } = await request<{ viewer: { user: { qualifiedLogin: string } | null } | null }>(
    "query MyName { viewer { user { qualifiedLogin } } }",
  );
  return viewer?.user?.qualifiedLogin ?? login;
}

/** The session as the server sees it: asked on load, whenever the page comes back into view, and on `refresh`. */
export function useSession(): { session: Session; refresh: () => Promise<Session> } {
  const [session, setSession] = useState<Session>({ state: "unknown" });
  const refresh = useCallback(async () => {
    const current = await currentSession();
    setSession(current);
    return current;
  }, []);
  useEffect(() => {
    void refresh();
    const onVisible = () => {
      if (document.visibilityState === "visible") {
        void refresh();
      }
    };
    document.addEventListener("visibilitychange", onVisible);
    return () => document.removeEventListener("visibilitychange", onVisible);
  }, [refresh]);
  return { session, refresh };
}
