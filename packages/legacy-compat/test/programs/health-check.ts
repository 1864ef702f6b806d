import { EnhancedHealthCheckScript } from "@db/legacy-compat/chanuka/enhanced-health-check";

process.exitCode = (await new EnhancedHealthCheckScript().run()).exitCode;
