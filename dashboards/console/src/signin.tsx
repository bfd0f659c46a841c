import { useState } from 'preact/hooks';
import { ApiError, signIn } from './api';
import { sentence } from './components/states';

/** SignIn asks for the token of the admin API. The proxy keeps it in a cookie that no script can read. */
export function SignIn() {
  const [token, setToken] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    try {
      await signIn(token.trim());
    } catch (e) {
      setError(e instanceof ApiError && e.status === 401 ? 'This token is not known here. Is it that of this mesh?' : e instanceof ApiError ? sentence(e.message) : String(e));
      setBusy(false);
    }
  };
  return (
    <form class="signin" onSubmit={submit}>
      <h1>Sign in</h1>
      <p>This proxy shows what it knows to whoever has its token: a line of <code>admin.token_file</code>. With one of <code>admin.control_token_file</code> you may also eject, drain and restore endpoints.</p>
      <label for="token">Token</label>
      <input id="token" type="password" value={token} onInput={(e) => setToken(e.currentTarget.value)} autocomplete="current-password" required autofocus
        aria-describedby={error ? 'signin-error' : undefined} aria-invalid={error ? true : undefined} />
      {error && <p id="signin-error" class="bad" role="alert">{error}</p>}
      <button type="submit" class="primary" disabled={busy || !token.trim()}>Sign in</button>
    </form>
  );
}
