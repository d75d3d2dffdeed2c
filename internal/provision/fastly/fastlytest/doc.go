// Package fastlytest imitates the part of Fastly's platform API that setting up
// and looking after a Pub/Sub service needs: services and their versions,
// domains, backends, links, packages, the Fanout product, the three kinds of
// stores, tokens, and the endpoint for publishing.
//
// New makes a Server; its Handler answers HTTP as api.fastly.com does, as far as
// the recorded exchanges in testdata/fastly-api show it: status, Content-Type,
// the members of every body and their types, pagination, rate-limit headers,
// which versions may be changed, which names must be unique, which token may do
// what. What no recording shows follows the documentation, and where that is
// silent a choice that makes a careless client fail. A test replays every
// recorded request and compares.
//
// Secrets are really encrypted to a client key and really decrypted here, but
// the key that signs client keys is a test key: a client that pins Fastly's must
// be given SigningKey in its place.
//
// Faults make it misbehave on demand, by Go or by HTTP: refuse, delay, cut off
// before or after the effect, answer half. Deployed tells what the edge would
// know of a service, so that a relay can play its part.
//
// Everything is in memory, bounded, behind one mutex. Ids, tokens and keys follow
// from Options.Seed and the order of calls; time comes from Options.Now. It never
// opens a connection.
package fastlytest
