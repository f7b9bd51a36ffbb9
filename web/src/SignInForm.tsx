import { useId, useRef, useState, type SubmitEvent } from "react";
import { signIn } from "./session";

/** Login and password in one line; `onSignedIn` gets the password for a change that may have to follow at once. */
export function SignInForm({ onSignedIn }: { onSignedIn: (password: string) => Promise<void> }) {
  const [login, setLogin] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const passwordField = useRef<HTMLInputElement>(null);
  const errorId = useId();

  async function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    setBusy(true);
    setError("");
    const refused = await signIn(login, password);
    if (refused === null) {
      await onSignedIn(password);
      return;
    }
    setBusy(false);
    setError(refused);
    passwordField.current?.select();
  }

  return (
    <form className="sign-in" aria-label="Sign in" onSubmit={submit}>
      <p className="error" role="alert" id={errorId}>
        {error}
      </p>
      <label>
        Login
        <input
          name="login"
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          placeholder="name@account"
          required
          value={login}
          onChange={(event) => setLogin(event.target.value)}
          aria-describedby={errorId}
        />
      </label>
      <label>
        Password
        <input
          ref={passwordField}
          name="password"
          type="password"
          autoComplete="current-password"
          required
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          aria-describedby={errorId}
        />
      </label>
      <button className="primary" type="submit" disabled={busy}>
        {busy ? "Signing in…" : "Sign in"}
      </button>
    </form>
  );
}
