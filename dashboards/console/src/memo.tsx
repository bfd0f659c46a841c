import { Component, type ComponentType } from 'preact';

/** memo renders a component anew only if one of its properties is another. Functions do not count: give ones that stay the same in what they do. */
export function memo<P extends object>(of: (props: P) => preact.ComponentChild): ComponentType<P> {
  return class extends Component<P> {
    override shouldComponentUpdate(next: P): boolean {
      const a = this.props as Record<string, unknown>, b = next as Record<string, unknown>;
      for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
        if (key === 'children' || typeof b[key] === 'function') continue;
        if (a[key] !== b[key]) return true;
      }
      return false;
    }
    override render() { return of(this.props as P); }
  };
}
