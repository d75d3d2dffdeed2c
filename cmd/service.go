package cmd

import (
	"context"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/client"
)

// service is the client of what c talks to, with up to conns connections, and
// what connect found out about it. close frees the connections.
func (d deps) service(c *cobra.Command, n need, conns int) (cl *client.Client, conn connection, closeAll func(), err error) {
	conn, err = d.connect(c.Context(), c, n)
	if err != nil {
		return nil, conn, nil, err
	}
	rt := client.NewHTTP(conns)
	return d.client(conn, rt, n), conn, rt.CloseIdleConnections, nil
}

// client is a client of conn's service over rt, with a token for what n says.
func (d deps) client(conn connection, rt http.RoundTripper, n need) *client.Client {
	sign := conn.tokenFor(n)
	return &client.Client{
		URL: conn.url, HTTP: rt, UserAgent: conn.userAgent, Timeout: conn.timeout, Log: d.log,
		// Half the token's life leaves the other half for whatever starts with it.
		Token: client.Remember(func(context.Context) (string, error) { return sign() }, mintedFor/2),
	}
}

// millis is d in milliseconds for people and JSON, to the microsecond.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
