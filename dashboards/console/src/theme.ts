import { remembered } from './store';

/** theme is auto, light or dark. */
export const theme = remembered('theme', 'auto');

const follow = () => {
  const root = document.documentElement;
  if (theme.get() === 'auto') root.removeAttribute('data-theme');
  else root.setAttribute('data-theme', theme.get());
};

export function startTheme(): void {
  follow();
  theme.subscribe(follow);
}

export const isDark = () => theme.get() === 'dark' || (theme.get() === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches);

/** color reads a variable of the style sheet, such as --accent, for what is drawn on a canvas. */
export const color = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** onTheme calls f when the colors change, until the function that it returns is called. */
export function onTheme(f: () => void): () => void {
  const system = matchMedia('(prefers-color-scheme: dark)');
  system.addEventListener('change', f);
  const stop = theme.subscribe(f);
  return () => {
    system.removeEventListener('change', f);
    stop();
  };
}
