// Package apptest is the wire suite of the Pub/Sub app: the numbered items of
// its conformance list that a client can show, as tests against a base URL: HTTP,
// event streams, and MQTT over WebSockets.
//
// The same suite runs against the built-in app behind any engine and against a
// hosted app. Each subtest begins with the number of its item. The suite
// imports nothing of what it tests: it signs its tokens, builds its queries,
// reads its streams and writes its WebSocket frames itself. That nothing
// arrives is shown by what arrives next, never by waiting for a while.
//
// It promises no coverage of load or of delivery times, except for the
// keep-alive interval when Service.Slow allows it.
package apptest

import (
	"cmp"
	"net/http"
	"testing"
	"time"
)

// FastlyKey is the one Fastly-Key value that every service under test accepts.
const FastlyKey = "good"

// patience bounds each wait for something that must come.
const patience = 10 * time.Second

// Setup is how a service differs from the usual one: the key "test" with the
// value "notasecret", an empty message store, a publish token, all switches on.
type Setup struct {
	NoMessagesStore, NoPublishToken bool
	// Config holds items of the config store.
	Config map[string]string
	// Messages, if not empty, is what the message store holds, in the layout of
	// the app's sample file.
	Messages string
}

// Service is what the suite runs against.
type Service struct {
	// Start serves the app as s says until the test ends and returns its base
	// URL, without a slash at the end. It skips the test if it cannot.
	Start func(t *testing.T, s Setup) string
	// Client sends the requests; nil stands for http.DefaultClient. It must not
	// have a timeout.
	Client *http.Client
	// Sockets opens the WebSockets, for which a client that speaks HTTP/2 is of no
	// use; nil stands for Client.
	Sockets *http.Client
	// Slow also runs what needs minutes.
	Slow bool
}

// item is one entry of the conformance list.
type item struct {
	name  string
	setup Setup
	run   func(t *testing.T, s *service)
}

// Run runs the suite, each item against a service of its own.
func Run(t *testing.T, svc Service) {
	for _, list := range [][]item{core(), auth(), routes(), switched(), asked(), told(), named(), posts(), mqttCore(), mqttTalk(), mqttListen(), mqttPublish()} {
		for _, it := range list {
			t.Run(it.name, func(t *testing.T) { it.run(t, start(t, svc, it.setup)) })
		}
	}
	if svc.Slow {
		t.Run("52 keep-alive", func(t *testing.T) { keepAlive(t, start(t, svc, Setup{})) })
	}
}

func start(t *testing.T, svc Service, s Setup) *service {
	client := svc.Client
	if client == nil {
		client = http.DefaultClient
	}
	return &service{client: client, sockets: cmp.Or(svc.Sockets, client), base: svc.Start(t, s)}
}
