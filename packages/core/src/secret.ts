/**
 * Replaces the password in every `postgres://user:password@host` and `password=…` of a text, so that a message,
 * a stack or a driver error can be shown. What is not a connection string stays as it is.
 */
export function redactUrls(text: string): string {
  return text
    .replace(/([a-z][a-z0-9+.-]*:\/\/[^\s:/?#@"']*):[^\s"'<>]*@(?=[^\s@]*)/gi, "$1:***@")
    .replace(
      /\b((?:pg)?pass(?:word|phrase|file)?|sslpassword|secret|token|api_?key|encryption_?key)(\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s&,;"']+)/gi,
      "$1$2***",
    );
}
