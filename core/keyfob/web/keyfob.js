// Keyfob: signs in by a popup where a request is answered 401 with a login_url. Docs: consent.md
// Whoever shared another's popup, which may have asked for less, may open one more.
(() => {
  "use strict";
  const me = document.currentScript, here = location.origin;
  const wire = () => new BroadcastChannel("keyfob");
  if ("done" in me.dataset) {
    wire().postMessage(location.search);
    setTimeout(close, 100);
    return;
  }
  if (window.keyfob) return;
  const done = new URL("done", me.src).pathname, tried = new Set();
  let busy;

  const loginOf = (type, text) =>
    type?.startsWith("application/problem+json") && JSON.parse(text).login_url;

  const signIn = async address => {
    const url = new URL(address, here), back = url.href, mark = "?" + Math.random();
    if (url.origin != here) throw new TypeError("foreign login_url");
    return busy ||= new Promise(end => {
      url.searchParams.set("next", done + mark);
      const win = open(url, "", "popup,width=520,height=680");
      if (!win) return location.assign(back);
      const ear = wire();
      const over = () => {
        removeEventListener("focus", look);
        ear.close();
        end();
      };
      const look = () => setTimeout(() => win.closed && over(), 300);
      addEventListener("focus", look);
      ear.onmessage = event => event.data == mark && over();
    }).finally(() => busy = 0);
  };

  window.keyfob = {
    signIn,
    async fetch(address, init) {
      const own = new URL(address, here).origin == here;
      const ask = () => {
        const request = new Request(address, init?.call ? init() : init);
        own && request.headers.set("X-Requested-With", "XMLHttpRequest");
        return fetch(request);
      };
      for (let more = 1;;) {
        const answer = await ask();
        const login = more && own && answer.status == 401 &&
          loginOf(answer.headers.get("content-type"), await answer.clone().text());
        if (!login) return answer;
        more = busy;
        await signIn(login);
      }
    }
  };

  document.addEventListener("htmx:responseError", async ({ detail }) => {
    const { xhr, target, requestConfig: { elt, verb, path } } = detail;
    const login = xhr.status == 401 && !tried.has(elt) &&
      loginOf(xhr.getResponseHeader("content-type"), xhr.responseText);
    if (!login) return;
    busy || tried.add(elt);
    try {
      await signIn(login);
      await htmx.ajax(verb, path, { source: elt, target });
    } finally {
      tried.delete(elt);
    }
  });
})();
