import { ShortcutList } from '../components/keys';

/** Help explains the words of the proxy, and the keys of the console. */
export default function Help() {
  return (
    <>
      <h1>Help</h1>
      <section>
        <h2>Keys</h2>
        <ShortcutList />
      </section>
    </>
  );
}
