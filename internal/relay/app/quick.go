package app

import (
	"net/http"
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

var _ fanout.Quick = (*App)(nil)

// Quick implements fanout.Quick: all the app's answers come from memory, but for
// the writes, which a store may have to put on a disk first.
func (a *App) Quick(r *fanout.Request) bool {
	switch {
	case r.Path == "/admin/keys":
		return false
	case r.Method == http.MethodPost:
		return !strings.Contains(r.RawQuery, "retain=true")
	}
	return true
}
