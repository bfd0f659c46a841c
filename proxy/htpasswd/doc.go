// Package htpasswd reads files of users and their hashed passwords, as Apache's htpasswd
// writes them: NAME:HASH, a line each.
//
//	users, err := htpasswd.Parse(content)
//	hash, known := users.Of("ann")
//	in := hash.Matches("secret") && known
//
// It takes hashes of bcrypt, APR1 and crypt's MD5, crypt's SHA-256 and SHA-512, {SHA} and
// {SSHA}, and no passwords in plain text. It opens no file, and does not bound how much is
// computed at a time: package basicauth does. Start reading at [Parse].
package htpasswd
