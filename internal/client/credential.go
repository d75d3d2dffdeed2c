package client

import (
	"context"
	"sync"
	"time"
)

// Remember returns a Token that asks sign for a token at most once per keep,
// so that a loop of publishers does not sign one for each message. A failure
// is not remembered. It may be called from any goroutine.
func Remember(sign Token, keep time.Duration) Token {
	var (
		mu     sync.Mutex // guards the following; held while signing, which does no I/O
		last   string
		signed time.Time
	)
	return func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(signed) < keep {
			return last, nil
		}
		tok, err := sign(ctx)
		if err != nil {
			return "", err
		}
		last, signed = tok, time.Now()
		return tok, nil
	}
}
