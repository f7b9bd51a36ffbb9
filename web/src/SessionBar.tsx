import { useState } from "react";
import { ChangePasswordDialog } from "./ChangePasswordDialog";
import { SignInForm } from "./SignInForm";
import { signOut, type Session } from "./session";

interface Props {
  session: Session;
  refresh: () => Promise<Session>;
}

/** Who is signed in, with the form to sign in when nobody is. */
export function SessionBar({ session, refresh }: Props) {
  // Kept only until the change that may follow a sign-in, so that nobody types a one-time password twice.
  const [typedPassword, setTypedPassword] = useState("");
  const [notice, setNotice] = useState("");

  async function onSignedIn(password: string) {
    setTypedPassword(password);
    setNotice("");
    const current = await refresh();
    if (current.state !== "person" || !current.mustChangePassword) {
      setTypedPassword("");
    }
    if (current.state === "nobody") {
      setNotice("The browser did not keep the session's cookie. Allow cookies for this site, then sign in again.");
    }
  }

  async function onChanged() {
    setTypedPassword("");
    const current = await refresh();
    if (current.state === "nobody") {
      setNotice("The password was changed. Sign in with the new one.");
    }
  }

  async function onSignOut() {
    setTypedPassword("");
    setNotice((await signOut()) ?? "");
    await refresh();
  }

  return (
    <div className="session">
      <p role="status">
        {session.state === "person" ? (
          <>
            Signed in as <strong>{session.name}</strong>
          </>
        ) : (
          notice
        )}
      </p>
      {session.state === "person" && (
        <button type="button" className="bar-button" onClick={onSignOut}>
          Sign out
        </button>
      )}
      {session.state === "nobody" && <SignInForm key={notice} onSignedIn={onSignedIn} />}
      {session.state === "unreachable" && (
        <>
          <p className="error" role="alert">
            {session.reason}
          </p>
          <button type="button" className="bar-button" onClick={() => void refresh()}>
            Try again
          </button>
        </>
      )}
      {session.state === "person" && session.mustChangePassword && (
        <ChangePasswordDialog
          key={session.id}
          name={session.name}
          currentPassword={typedPassword}
          onChanged={onChanged}
          onSignOut={onSignOut}
        />
      )}
    </div>
  );
}
