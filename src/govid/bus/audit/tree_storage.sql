-- The statements that read the stored tree.

-- name: leaves
SELECT index, hash, nodes FROM audit.leaf WHERE index = ANY($1::bigint[])
