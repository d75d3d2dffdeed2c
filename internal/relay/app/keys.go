package app

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"

	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
	"github.com/pubsubctl/pubsubctl/internal/token"
)

// createKey answers POST /admin/keys: a new signing key, good at once. Body and
// query are not looked at.
func (a *App) createKey(ctx context.Context, r *fanout.Request) *fanout.Response {
	if !a.admin(r.Header) {
		return a.refusePost(ctx, r, "", &refusal{
			status: http.StatusUnauthorized,
			text:   "Fastly-Key header invalid or not specified",
			cause:  "no accepted Fastly-Key",
		})
	}
	id, value, err := token.NewKey(rand.Reader)
	if err == nil {
		err = a.keys.Put(ctx, store.Key{ID: id, Secret: []byte(value)})
	}
	if err != nil {
		return a.refusePost(ctx, r, "", refusedKey(err))
	}
	a.logKey(ctx, r)
	body := `{"id":"` + id + `","value":"` + value + `"}` // both are hex digits
	return &fanout.Response{Status: http.StatusOK, Header: a.json, Body: []byte(body)}
}

func refusedKey(err error) *refusal {
	text := "Storage writing process failed"
	if errors.Is(err, store.ErrMissing) {
		text = "Storage access process failed"
	}
	return failed(text, "the key could not be stored", err)
}
