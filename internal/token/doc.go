// Package token makes, reads and judges the JSON Web Tokens of the Pub/Sub app,
// and makes the signing keys.
//
// Verifier reproduces the app's judgement check by check (pubsub-app contract, 3.2
// to 3.4), the odd corners included: a token works for 15 minutes after its
// exp, times are kept in 32 bits, and an unknown key is a failure to check
// rather than a refusal. An accepted token is remembered by its bytes until its
// time runs out or a key changes, so a second look costs some tens of
// nanoseconds and no memory. Memory is bounded whatever clients send.
//
// An Error says which claim failed and why, and never holds the token, a
// signature or a key. The package does not say which topics a token's holder
// may use beyond handing out the lists, does not keep keys, and logs nothing.
package token
