-- How many transactions moved a partition forward.
-- Why: a connection lost in the very commit leaves open whether it happened. The same step done once more counted its stones
-- twice; with its number it is known for done.
-- Safe with old code: it neither reads nor writes the column, and a partition has one worker at a time.
ALTER TABLE partition_progress ADD COLUMN commits INT NOT NULL DEFAULT 0;
