import { z } from "zod";
import { boolean, email, integer, line, list, url } from "../kind.ts";
import type { Setting } from "../setting.ts";

/** What reaches people and machines outside: notification and the server. */
export const outsideSettings: readonly Setting[] = [
  {
    key: "notify.enabled",
    kind: boolean,
    variables: [{ name: "NOTIFICATION_ENABLED" }],
    default: false,
    doc: "Alerts and results are sent out.",
    example: "true",
  },
  {
    key: "notify.email",
    kind: email,
    variables: [{ name: "NOTIFICATION_EMAIL" }],
    defaultText: "none",
    doc: "Who gets e-mail.",
    example: "ops@example.com",
  },
  {
    key: "notify.smtpUrl",
    kind: url(["smtp", "smtps"], "a URL smtp://user:password@host:port"),
    variables: [{ name: "NOTIFICATION_SMTP_URL" }],
    secret: true,
    defaultText: "the mail server of this machine",
    doc: "Mail server that e-mail goes through.",
    example: "smtps://mail.example.com:465",
  },
  {
    key: "notify.webhookUrl",
    kind: url(["http", "https"], "a URL https://…"),
    variables: [{ name: "NOTIFICATION_WEBHOOK" }],
    secret: true,
    defaultText: "none",
    doc: "Webhook of Slack, Teams or your own.",
    example: "https://hooks.example.com/services/…",
  },
  {
    key: "server.host",
    kind: line("a host name or an address"),
    variables: [{ name: "DB_SERVER_HOST" }],
    default: "127.0.0.1",
    doc: "Address that the HTTP server listens on.",
    example: "127.0.0.1",
  },
  {
    key: "server.port",
    kind: integer(0, 65_535),
    variables: [{ name: "DB_SERVER_PORT" }],
    default: 8787,
    profiles: { test: 0 },
    doc: "Port that the HTTP server listens on; 0 takes a free one.",
    example: "8787",
  },
  {
    key: "server.tokens",
    kind: list(
      () =>
        z
          .string()
          .min(1)
          .regex(/^[\x21-\x7e]+$/),
      "tokens without spaces, separated by commas",
    ),
    variables: [{ name: "DB_SERVER_TOKENS" }],
    default: [],
    secret: true,
    doc: "Bearer tokens that the server accepts, as `scope:token` or `scope:sha256:<hash>`; scopes are metrics, read (the default), operate and admin. Several at once, to change them without a gap.",
    example: "read:32 random bytes in hexadecimal",
  },
  {
    key: "server.adminActions",
    kind: list(() => z.string().regex(/^[a-z][a-z0-9.:-]*$/), "names of actions, separated by commas"),
    variables: [{ name: "DB_SERVER_ADMIN_ACTIONS" }],
    default: [],
    doc: "Actions that the admin API offers; none exists unless it stands here.",
    example: "sessions,backups",
  },
];
