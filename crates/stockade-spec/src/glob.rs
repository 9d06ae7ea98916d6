//! Path rules: `**/.env`, `secrets/`, `deploy/hooks/**`.
