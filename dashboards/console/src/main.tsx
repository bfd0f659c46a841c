import './style/theme.css';
import './style/layout.css';
import './style/parts.css';
import { render } from 'preact';
import { loadSession } from './api';
import { App } from './app';
import { listenToKeys } from './keys';
import { startTheme } from './theme';

startTheme();
listenToKeys();
render(<App />, document.getElementById('app')!);
void loadSession();
