// Pages without sounds (paused, closed, thanks) still send what waits in this browser.

import { AnswerQueue, Store } from "./queue.js";

const { queue, url, csrf } = JSON.parse(document.getElementById("flush").textContent);
const store = new Store(`humanclap:${queue}:`);
new AnswerQueue({ store, url, csrf }).flush();
