package cmd

import (
	"context"
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
	sign := func(context.Context) (string, error) { return conn.token() }
	cl = &client.Client{
		URL: conn.url, HTTP: rt, UserAgent: conn.userAgent, Timeout: conn.timeout, Log: d.log,
		// Half the token's life leaves the other half for whatever starts with it.
		Token: client.Remember(sign, mintedFor/2),
	}
	return cl, conn, rt.CloseIdleConnections, nil
}

// millis is d in milliseconds for people and JSON, to the microsecond.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
