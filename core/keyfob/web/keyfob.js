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

  const isProblem = (status, type) => status == 401 && /^application\/problem\+json/.test(type);

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
      const request = new Request(address, options);
      if (new URL(request.url).origin != here) return fetch(request);
      request.headers.set("X-Requested-With", "XMLHttpRequest");
      const answer = await fetch(request.clone());
      if (!isProblem(answer.status, answer.headers.get("content-type"))) return answer;
      const { login_url } = await answer.clone().json();
      if (!login_url) return answer;
      await signIn(login_url);
      return fetch(request);
    }
  };

  document.addEventListener("htmx:responseError", async ({ detail }) => {
    const { xhr, target, requestConfig: { elt, verb, path } } = detail;
    if (tried.has(elt) || !isProblem(xhr.status, xhr.getResponseHeader("content-type"))) return;
    tried.add(elt);
    try {
      const { login_url } = JSON.parse(xhr.responseText);
      if (login_url) {
        await signIn(login_url);
        await htmx.ajax(verb, path, { source: elt, target });
      }
    } finally {
      tried.delete(elt);
    }
  });
})();
