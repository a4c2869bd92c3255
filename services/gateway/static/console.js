// Swagger UI on our own document: two languages, a search over all operations, and a fresh Idempotency-Key to try with.
(() => {
  "use strict";

  const LANGUAGES = ["zh", "en"];
  const KEPT = "linli.console.lang";
  const LABELS = {
    "Authorize": "登录授权", "Authorized": "已授权", "Available authorizations": "授权方式", "Logout": "退出", "Close": "关闭",
    "Value:": "令牌：", "Token URL:": "令牌地址：", "Authorization URL: ": "登录地址：", "Flow: ": "流程：", "client_id:": "客户端：", "Try it out": "试一试", "Try it out ": "试一试", "Cancel": "取消", "Execute": "发送", "Clear": "清除", "Reset": "重置",
    "Parameters": "参数", "No parameters": "无参数", "Name": "名称", "Description": "说明", "Request body": "请求内容", "Edit Value": "编辑", "Filters": "筛选",
    "Responses": "响应", "Response body": "响应内容", "Response headers": "响应头", "Server response": "服务器响应",
    "Request URL": "请求地址", "Request duration": "耗时", "Code": "状态码", "Details": "详情", "Links": "链接", "No links": "无链接",
    "Media type": "媒体类型", "Headers:": "响应头：", "Example Value": "示例", "Schema": "结构", "Schemas": "数据结构", "Servers": "服务器",
    "Send empty value": "发送空值", "Download": "下载", "Loading…": "加载中…", "Add string item": "添加一项", "Type": "类型",
    "Controls ": "决定 ", " header.": " 请求头。", "Collapse all": "全部收起", "Expand all": "全部展开", "Undocumented": "文档未列出",
  };
  const FILTER = { zh: "搜索：标题、路径或编号", en: "Search: title, path or id" };
  const back = Object.fromEntries(Object.entries(LABELS).map(([en, zh]) => [zh, en]));

  const remembered = () => { try { return localStorage.getItem(KEPT); } catch { return null; } };
  const remember = (lang) => { try { localStorage.setItem(KEPT, lang); } catch { /* private windows keep nothing */ } };
  let lang = remembered();
  if (!LANGUAGES.includes(lang)) lang = /^zh\b/i.test(navigator.language) ? "zh" : "en";

  const address = () => new URL(`/openapi.json?lang=${lang}`, location.href).href;
  const root = document.getElementById("console");

  // Swagger UI speaks English only: its labels are exchanged where they stand, what the document says is left alone.
  const SAYS = "textarea, pre, code, .markdown, .renderedMarkdown, .opblock-summary-description, .info";
  const tell = (text) => {
    const words = lang === "zh" ? LABELS : back;
    const word = text.nodeValue;
    if (Object.hasOwn(words, word) && !text.parentElement?.closest(SAYS)) text.nodeValue = words[word];
  };
  const tellAll = (node) => {
    if (node.nodeType === Node.TEXT_NODE) return tell(node);
    const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) tell(walker.currentNode);
    const filter = root.querySelector(".operation-filter-input");
    if (filter && filter.placeholder !== FILTER[lang]) filter.placeholder = FILTER[lang];
  };
  new MutationObserver((changes) => {
    for (const change of changes) {
      if (change.type === "characterData") tell(change.target);
      else change.addedNodes.forEach(tellAll);
    }
  }).observe(root, { childList: true, characterData: true, subtree: true });

  const key = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  };

  const Linli = {
    fn: {
      opsFilter: (tagged, phrase) => {
        const wanted = phrase.toLowerCase();
        const hits = (operation) =>
          [operation.get("path"), operation.get("method"), ...["operationId", "summary", "description"].map((name) => operation.getIn(["operation", name]))]
            .some((text) => (text || "").toLowerCase().includes(wanted));
        return tagged
          .map((tag, name) => name.toLowerCase().includes(wanted) ? tag : tag.update("operations", (all) => all.filter(hits)))
          .filter((tag) => tag.get("operations").size > 0);
      },
    },
    statePlugins: {
      spec: {
        wrapActions: {
          updateJsonSpec: (update) => (spec) => {
            const parameter = spec?.components?.parameters?.IdempotencyKey;
            return update(parameter
              ? { ...spec, components: { ...spec.components, parameters: { ...spec.components.parameters, IdempotencyKey: { ...parameter, example: key() } } } }
              : spec);
          },
          // "Execute" may be pressed before an operation's references are resolved; unresolved it is good enough.
          executeRequest: (execute, system) => (request) => execute(request.operation.size
            ? request
            : { ...request, operation: system.specSelectors.spec().getIn(["paths", request.pathName, request.method]) }),
        },
      },
    },
  };

  // Staff stay logged in while they work: a token that has run out is exchanged for the next before a request leaves.
  const renewed = async (request) => {
    const held = ui.authSelectors.authorized()?.toJS().staff;
    const spent = `Bearer ${held?.token?.access_token}`;
    if (!held?.token?.refresh_token || request.headers?.Authorization !== spent) return;
    try {
      const { exp } = JSON.parse(atob(held.token.access_token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
      if (exp * 1000 > Date.now() + 10_000) return;
      const body = new URLSearchParams({ grant_type: "refresh_token", client_id: "linli-console", refresh_token: held.token.refresh_token });
      const answer = await fetch("/oauth/token", { method: "POST", body });
      if (!answer.ok) return; // what was asked for will say that the login is over
      const token = await answer.json();
      ui.authActions.authorizeOauth2WithPersistOption({ auth: held, token });
      request.headers.Authorization = `Bearer ${token.access_token}`;
    } catch { /* the request goes as it is */ }
  };

  const ui = SwaggerUIBundle({
    url: address(),
    dom_id: "#console",
    presets: [SwaggerUIBundle.presets.apis],
    plugins: [Linli],
    layout: "BaseLayout",
    deepLinking: true,
    filter: true,
    persistAuthorization: true,
    oauth2RedirectUrl: `${location.origin}/docs/oauth2-redirect`,
    tryItOutEnabled: true,
    displayRequestDuration: true,
    displayOperationId: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    showCommonExtensions: true,
    validatorUrl: null,
    requestInterceptor: async (request) => {
      if (request.loadSpec) return request;
      request.headers["Accept-Language"] = lang;
      await renewed(request);
      return request;
    },
  });

  ui.initOAuth({ clientId: "linli-console", usePkceWithAuthorizationCodeGrant: true });

  const buttons = document.querySelectorAll("button[data-lang]");
  const show = () => {
    document.documentElement.lang = lang;
    document.querySelector("a[download]").href = address();
    buttons.forEach((one) => one.setAttribute("aria-pressed", String(one.dataset.lang === lang)));
    tellAll(root);
  };
  buttons.forEach((one) => one.addEventListener("click", () => {
    if (one.dataset.lang === lang) return;
    lang = one.dataset.lang;
    remember(lang);
    show();
    ui.specActions.updateUrl(address());
    ui.specActions.download(address());
  }));
  show();
})();
