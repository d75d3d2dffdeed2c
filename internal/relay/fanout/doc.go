// Package fanout is what Fanout does: it asks a Handler about each request,
// holds the connections the Handler wants held, and delivers published items
// to them.
package fanout
