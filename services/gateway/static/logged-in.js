// The log in window comes back here with a code or an error, and hands it to the console that opened it.
(() => {
  "use strict";
  const waiting = window.opener?.swaggerUIRedirectOauth2;
  if (!waiting) return;
  const told = new URLSearchParams(location.search);
  const { auth, state, redirectUrl, callback, errCb } = waiting;
  if (told.get("state") !== state) {
    errCb({ authId: auth.name, source: "auth", level: "error", message: "The answer is not to the question that was asked." });
  } else if (told.has("code")) {
    delete auth.state;
    auth.code = told.get("code");
    callback({ auth, redirectUrl });
  } else {
    errCb({ authId: auth.name, source: "auth", level: "error", message: told.get("error_description") || "Nobody logged in." });
  }
  window.close();
})();
