package relay

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"time"
)

// controlPlane serves health, metrics, the publish API and the app's keys. Paths are compared as
// they are: a mux would redirect what it can clean up, and a publisher does not
// follow redirects.
func (s *Server) controlPlane() http.Handler {
	publish, watching := newPublishAPI(s.opt, s.engine), s.watching()
	var keys *keyAPI
	if s.app != nil {
		keys = newKeyAPI(s.opt, s.store)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve, own := watching[r.URL.Path]
		switch {
		case keys.serves(r.URL.Path):
			keys.ServeHTTP(w, r)
		case !own:
			publish.ServeHTTP(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			text(w, http.StatusMethodNotAllowed, "method not allowed\n")
		default:
			serve(w, r)
		}
	})
}

// watching is what those that watch over a relay ask.
func (s *Server) watching() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"/healthz": func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok\n") },
		"/readyz": func(w http.ResponseWriter, _ *http.Request) {
			if s.draining.Load() {
				text(w, http.StatusServiceUnavailable, "draining\n")
				return
			}
			text(w, http.StatusOK, "ready\n")
		},
		"/metrics": s.metrics,
	}
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// metrics writes the counts in Prometheus' text format, version 0.0.4.
func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	st := s.engine.Stats()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	family(w, "connections", "gauge", "Open client connections.")
	sample(w, "connections", "", float64(s.guard.count()))
	family(w, "streams", "gauge", "Held event streams.")
	sample(w, "streams", "", float64(st.Streams))
	family(w, "items_published_total", "counter", "Items published.")
	sample(w, "items_published_total", "", float64(st.Published))
	family(w, "deliveries_total", "counter", "Items handed to connections.")
	sample(w, "deliveries_total", "", float64(st.Delivered))
	family(w, "ended_total", "counter", "Held connections ended, by cause.")
	for _, cause := range slices.Sorted(maps.Keys(st.Ended)) {
		sample(w, "ended_total", fmt.Sprintf("{cause=%q}", cause), float64(st.Ended[cause]))
	}
	family(w, "refused_total", "counter", "Connections refused for want of room.")
	sample(w, "refused_total", "", float64(s.guard.refused.Load()))
	family(w, "goroutines", "gauge", "Goroutines.")
	sample(w, "goroutines", "", float64(runtime.NumGoroutine()))
	family(w, "heap_bytes", "gauge", "Bytes of live and not yet collected heap objects.")
	sample(w, "heap_bytes", "", float64(mem.HeapAlloc))
	family(w, "uptime_seconds", "gauge", "Seconds since the start.")
	sample(w, "uptime_seconds", "", time.Since(s.began).Seconds())
}

const metricPrefix = "pubsubctl_relay_"

func family(w io.Writer, name, kind, help string) {
	_, _ = fmt.Fprintf(w, "# HELP %s%s %s\n# TYPE %s%s %s\n", metricPrefix, name, help, metricPrefix, name, kind)
}

func sample(w io.Writer, name, labels string, v float64) {
	_, _ = fmt.Fprintf(w, "%s%s%s %g\n", metricPrefix, name, labels, v)
}
