import { useEffect, useId, useRef, useState, type SubmitEvent } from "react";
import { changePassword } from "./session";

interface Props {
  name: string;
  /** What was typed at the sign-in a moment ago; empty after a reload. */
  currentPassword: string;
  onChanged: () => Promise<void>;
  onSignOut: () => Promise<void>;
}

/** Asks for a new password. It cannot be put away: until it is answered the server refuses everything else. */
export function ChangePasswordDialog({ name, currentPassword, onChanged, onSignOut }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [current, setCurrent] = useState(currentPassword);
  const [fresh, setFresh] = useState("");
  const [repeated, setRepeated] = useState("");
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const titleId = useId();
  const errorId = useId();

  useEffect(() => {
    dialog.current?.showModal();
  }, []);

  async function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    if (fresh !== repeated) {
      setError("The two new passwords differ. Type the same one twice.");
      return;
    }
    setBusy(true);
    setError("");
    const refused = await changePassword(current, fresh);
    if (refused === null) {
      await onChanged();
      return;
    }
    setBusy(false);
    setError(refused);
  }

  return (
    <dialog
      ref={dialog}
      className="change-password"
      aria-labelledby={titleId}
      onCancel={(event) => event.preventDefault()}
      // Browsers let a second Escape through whatever `cancel` says.
      onClose={() => dialog.current?.showModal()}
    >
      <form onSubmit={submit}>
        <h2 id={titleId}>Choose a new password</h2>
        <p>{name}, this password has to be changed before you can go on.</p>
        <input className="for-password-managers" name="username" autoComplete="username" value={name} readOnly tabIndex={-1} aria-hidden="true" />
        <label>
          Current password
          <input
            name="currentPassword"
            type="password"
            autoComplete="current-password"
            required
            autoFocus={currentPassword === ""}
            value={current}
            onChange={(event) => setCurrent(event.target.value)}
          />
        </label>
        <label>
          New password
          <input
            name="newPassword"
            type="password"
            autoComplete="new-password"
            required
            autoFocus={currentPassword !== ""}
            value={fresh}
            onChange={(event) => setFresh(event.target.value)}
            aria-describedby={errorId}
          />
        </label>
        <label>
          New password again
          <input
            name="repeatedPassword"
            type="password"
            autoComplete="new-password"
            required
            value={repeated}
            onChange={(event) => setRepeated(event.target.value)}
            aria-describedby={errorId}
          />
        </label>
        <p className="error" role="alert" id={errorId}>
          {error}
        </p>
        <div className="actions">
          <button type="button" className="bar-button" onClick={onSignOut}>
            Sign out
          </button>
          <button type="submit" className="primary" disabled={busy}>
            {busy ? "Changing…" : "Change password"}
          </button>
        </div>
      </form>
    </dialog>
  );
}
