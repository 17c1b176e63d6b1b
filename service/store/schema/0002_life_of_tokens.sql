-- SPDX-License-Identifier: Apache-2.0
-- Rotation, where a token was used last, and the end of tokens that expired long ago.

ALTER TABLE token ADD COLUMN last_used_from {text} NOT NULL DEFAULT '';  -- an address
-- The secret before the last rotation, which is good for a while.
ALTER TABLE token ADD COLUMN old_hash {bytes};
ALTER TABLE token ADD COLUMN old_until_us {int} NOT NULL DEFAULT 0;
CREATE INDEX token_by_old_hash ON token (old_hash) WHERE old_hash IS NOT NULL;
CREATE INDEX token_by_expiry ON token (expires_day);
