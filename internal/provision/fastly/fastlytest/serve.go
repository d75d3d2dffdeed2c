package fastlytest

import (
	"cmp"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// The largest bodies: of a package, with its multipart frame, and of the rest.
const (
	maxPackage = 101 << 20
	maxBody    = 26 << 20
)

// serve answers the requests of one route, or lets a fault strike.
func (s *Server) serve(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		limit := int64(maxBody)
		if rt.body == filePart {
			limit = maxPackage
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
		if err != nil {
			s.send(w, r, nil, "", jsonAnswer(http.StatusRequestEntityTooLarge, object{"msg": "Request too large"}))
			return
		}
		if f := s.strike(r); f != nil {
			s.misbehave(w, r, rt, body, *f)
			return
		}
		s.send(w, r, body, "", s.answer(rt, r, body))
	}
}

// misbehave does what the fault says.
func (s *Server) misbehave(w http.ResponseWriter, r *http.Request, rt route, body []byte, f Fault) {
	switch f.Kind {
	case Status:
		a := jsonAnswer(cmp.Or(f.Status, http.StatusInternalServerError), nil)
		a.header.Set("Content-Type", jsonType)
		a.body = []byte(f.Body)
		s.send(w, r, body, f.Kind, a)
	case HTML503:
		a := answer{http.StatusServiceUnavailable, http.Header{}, []byte("<html><head><title>503 Backend fetch failed</title></head></html>")}
		a.header.Set("Content-Type", "text/html")
		s.send(w, r, body, f.Kind, a)
	case RateLimit:
		reset := s.now().Truncate(time.Hour).Add(time.Hour)
		if f.Delay > 0 {
			reset = s.now().Add(f.Delay)
		}
		s.send(w, r, body, f.Kind, overLimit(reset))
	case Slow:
		wait(r, f.Delay)
		s.send(w, r, body, f.Kind, s.answer(rt, r, body))
	case Truncate:
		a := s.answer(rt, r, body)
		s.record(r, body, a.status, f.Kind)
		s.writeHalf(w, a)
	case AfterEffect:
		s.answer(rt, r, body)
		s.record(r, body, 0, f.Kind)
		wait(r, f.Delay)
		cutOff(w)
	case Timeout:
		s.record(r, body, 0, f.Kind)
		wait(r, cmp.Or(f.Delay, defaultTimeout))
		cutOff(w)
	case Reset:
		s.record(r, body, 0, f.Kind)
		cutOff(w)
	}
}

// writeHalf announces the whole body, sends half of it and ends the connection.
func (s *Server) writeHalf(w http.ResponseWriter, a answer) {
	if len(a.body) > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
		s.write(w, a, len(a.body)/2)
		_ = http.NewResponseController(w).Flush()
	}
	panic(http.ErrAbortHandler) // net/http's way to end a connection; it prints nothing
}

// wait ends after d or when the client is gone.
func wait(r *http.Request, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	}
}

// cutOff ends the connection without another byte: with a reset where it can, so
// that the client is told at once.
func cutOff(w http.ResponseWriter) {
	if h, ok := w.(http.Hijacker); ok {
		if conn, _, err := h.Hijack(); err == nil {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			_ = conn.Close()
			return
		}
	}
	panic(http.ErrAbortHandler)
}

func (s *Server) send(w http.ResponseWriter, r *http.Request, body []byte, kind Kind, a answer) {
	s.record(r, body, a.status, kind)
	s.write(w, a, len(a.body))
}

// write sends the first bytes of an answer.
func (s *Server) write(w http.ResponseWriter, a answer, upTo int) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if a.header.Get("Content-Type") == "" {
		w.Header()["Content-Type"] = nil // none, in place of a guess
	}
	w.Header().Set("Date", s.date().Format(http.TimeFormat))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body[:upTo])
}

// date is what the Date header says.
func (s *Server) date() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now().Add(s.traits.skew)
}
