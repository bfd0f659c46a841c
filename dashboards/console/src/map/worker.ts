// Places services apart from the page: two hundred of them take a third of a second.

import { layout, type Shape } from './layout';

addEventListener('message', (e: MessageEvent<{ key: string; graph: Shape }>) => {
  postMessage({ key: e.data.key, places: layout(e.data.graph) });
});
