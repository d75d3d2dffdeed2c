package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const acceptance = "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Max-Age: 3600\r\nContent-Length: 10\r\n\r\nPublished\n"

// pipelined runs a batch of n messages against serve, which has the other end
// of the connection, and returns the outcomes as short lines.
func pipelined(t *testing.T, ctx context.Context, n int, serve func(net.Conn)) (outcomes []string, err error) {
	t.Helper()
	near, far := net.Pipe()
	served := make(chan struct{})
	go func() { // ends with serve, awaited below
		defer close(served)
		defer far.Close()
		serve(far)
	}()
	dial := func(_ context.Context, network, addr string) (net.Conn, error) {
		if network != "tcp" || addr != "service.test:80" {
			t.Errorf("dialled %s %s", network, addr)
		}
		return near, nil
	}
	c := &Client{URL: "http://service.test", Timeout: 5 * time.Second, Token: func(context.Context) (string, error) { return "tok", nil }}
	err = c.PublishAll(ctx, "a/b", upTo(n), BatchOptions{Parallel: 4, Dial: dial}, func(s Sent) error {
		outcome := "ok"
		var e *Error
		if errors.As(s.Err, &e) {
			outcome = e.Code()
		} else if s.Err != nil {
			outcome = s.Err.Error()
		}
		outcomes = append(outcomes, fmt.Sprint(s.N, " ", outcome))
		return nil
	})
	<-served
	return outcomes, err
}

// requestsFrom reads requests until the connection ends or limit is reached.
func requestsFrom(conn net.Conn, limit int) (got []string) {
	in := bufio.NewReader(conn)
	for len(got) < limit {
		r, err := http.ReadRequest(in)
		if err != nil {
			return got
		}
		body, _ := io.ReadAll(r.Body)
		got = append(got, fmt.Sprintf("%s %s %s %s %s", r.Method, r.RequestURI, r.Host, r.Header.Get("Authorization"), body))
		io.WriteString(conn, acceptance)
	}
	return got
}

func TestPipelineSendsWholeRequestsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		outcomes, err := pipelined(t, t.Context(), 9, func(conn net.Conn) { got = requestsFrom(conn, 100) })
		var want, ok []string
		for i := 1; i <= 9; i++ {
			want = append(want, fmt.Sprintf("POST /events?topic=a/b service.test Bearer tok %d", i))
			ok = append(ok, fmt.Sprint(i, " ok"))
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("err %v, server got %q, want %q", err, got, want)
		}
		if !slices.Equal(outcomes, ok) {
			t.Errorf("outcomes %q, want %q", outcomes, ok)
		}
	})
}

func TestPipelineDoesNotWaitForAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outcomes, _ := pipelined(t, t.Context(), 3, func(conn net.Conn) {
			in := bufio.NewReader(conn)
			for range 3 {
				r, err := http.ReadRequest(in)
				if err != nil {
					t.Error("the next request did not come before the first answer:", err)
					return
				}
				io.Copy(io.Discard, r.Body)
			}
			io.WriteString(conn, strings.Repeat(acceptance, 3))
		})
		if want := []string{"1 ok", "2 ok", "3 ok"}; !slices.Equal(outcomes, want) {
			t.Errorf("outcomes %q, want %q", outcomes, want)
		}
	})
}

func TestPipelineGivesEachMessageItsOwnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusal := strings.NewReplacer("200 OK", "403 Forbidden", "Published", "Invalid t").Replace(acceptance)
		outcomes, _ := pipelined(t, t.Context(), 3, func(conn net.Conn) {
			go io.Copy(io.Discard, conn) // ends with the connection
			io.WriteString(conn, acceptance+refusal+acceptance)
		})
		if want := []string{"1 ok", "2 auth.refused", "3 ok"}; !slices.Equal(outcomes, want) {
			t.Errorf("outcomes %q, want %q", outcomes, want)
		}
	})
}

func TestPipelineThatBreaksFailsWhatIsUnanswered(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){
		"closed between answers": func(conn net.Conn) { requestsFrom(conn, 2) },
		"closed inside an answer": func(conn net.Conn) {
			go io.Copy(io.Discard, conn) // ends with the connection
			io.WriteString(conn, acceptance+acceptance+acceptance[:len(acceptance)-4])
		},
		"announced": func(conn net.Conn) {
			go io.Copy(io.Discard, conn) // ends with the connection
			last := strings.Replace(acceptance, "Content", "Connection: close\r\nContent", 1)
			io.WriteString(conn, acceptance+last)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				outcomes, _ := pipelined(t, t.Context(), 5, serve)
				if want := []string{"1 ok", "2 ok", "3 network.closed", "4 network.closed", "5 network.closed"}; !slices.Equal(outcomes, want) {
					t.Errorf("outcomes %q, want %q", outcomes, want)
				}
			})
		})
	}
}

func TestPipelineWithoutAnswersTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		outcomes, _ := pipelined(t, t.Context(), 2, func(conn net.Conn) { io.Copy(io.Discard, conn) })
		if want := []string{"1 timeout.request", "2 timeout.request"}; !slices.Equal(outcomes, want) || time.Since(began) != 5*time.Second {
			t.Errorf("outcomes %q after %v, want %q after 5s", outcomes, time.Since(began), want)
		}
	})
}

func TestPipelineEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errors.New("interrupted")) })
		began := time.Now()
		outcomes, err := pipelined(t, ctx, 100, func(conn net.Conn) { io.Copy(io.Discard, conn) })
		if took := time.Since(began); took != time.Second {
			t.Errorf("ended after %v, want at once", took)
		}
		if err == nil || err.Error() != "interrupted" || len(outcomes) == 0 || outcomes[0] != "1 interrupted" {
			t.Errorf("err %v, outcomes %q", err, outcomes)
		}
	})
}

func TestPipelineWhoseWriterIsStuckEndsWithTheReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		wrote := make(chan struct{})
		go func() { // ends with its write: nobody reads the requests
			defer close(wrote)
			io.WriteString(far, "nonsense\r\n\r\n")
		}()
		c := &Client{URL: "http://service.test"}
		o := BatchOptions{Parallel: 4, Dial: func(context.Context, string, string) (net.Conn, error) { return near, nil }}
		failed := 0
		err := c.PublishAll(t.Context(), "t", upTo(9), o, func(s Sent) error {
			if s.Err != nil {
				failed++
			}
			return nil
		})
		<-wrote
		if err != nil || failed != 9 {
			t.Errorf("err %v with %d failures, want all 9", err, failed)
		}
	})
}
