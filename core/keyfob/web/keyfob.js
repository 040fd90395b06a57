// Keyfob: signs in by a popup where a request is answered 401 with a login_url. Docs: consent.md
(() => {
  "use strict";
  const me = document.currentScript, here = location.origin;
  const channel = () => new BroadcastChannel("keyfob");
  if ("done" in me.dataset) {
    channel().postMessage(location.search);
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
    if (url.origin != here) throw new TypeError("login_url leaves this site");
    return busy ||= new Promise(end => {
      url.searchParams.set("next", done + mark);
      const popup = open(url, "", "popup,width=520,height=680");
      if (!popup) return location.assign(back);
      const ears = channel();
      const over = () => {
        removeEventListener("focus", look);
        ears.close();
        end();
      };
      const look = () => setTimeout(() => popup.closed && over(), 300);
      addEventListener("focus", look);
      ears.onmessage = event => event.data == mark && over();
    }).finally(() => busy = 0);
  };

  window.keyfob = {
    signIn,
    async fetch(address, options) {
      const own = new URL(address, here).origin == here;
      const ask = () => {
        const request = new Request(address, options?.call ? options() : options);
        own && request.headers.set("X-Requested-With", "XMLHttpRequest");
        return fetch(request);
      };
      const answer = await ask();
      const login = own && answer.status == 401 &&
        loginOf(answer.headers.get("content-type"), await answer.clone().text());
      if (!login) return answer;
      await signIn(login);
      return ask();
    }
  };

  document.addEventListener("htmx:responseError", async ({ detail }) => {
    const { xhr, target, requestConfig: { elt, verb, path } } = detail;
    const login = xhr.status == 401 && !tried.has(elt) &&
      loginOf(xhr.getResponseHeader("content-type"), xhr.responseText);
    if (!login) return;
    tried.add(elt);
    try {
      await signIn(login);
      await htmx.ajax(verb, path, { source: elt, target });
    } finally {
      tried.delete(elt);
    }
  });
})();
