"""The listener's own answers, byte for byte (reference: HTTP.sys error responses)."""
import re

# reason -> (status, title, heading, sentence, Content-Length the reference gives)
ANSWERS = {
    "BadRequest": (400, "Bad Request", "Bad Request", "The request is badly formed.", 311),
    "Verb": (400, "Bad Request", "Bad Request - Invalid Verb", "The request verb is invalid.", 326),
    "URL": (400, "Bad Request", "Bad Request - Invalid URL", "The request URL is invalid.", 324),
    "Header": (400, "Bad Request", "Bad Request - Invalid Header",
               "The request has an invalid header name.", 339),
    "Hostname": (400, "Bad Request", "Bad Request - Invalid Hostname",
                 "The request hostname is invalid.", 334),
    "FieldLength": (400, "Bad Request", "Bad Request - Header Field Too Long",
                    "A request header field is too long.", 342),
    "RequestLength": (400, "Bad Request", "Bad Request - Request Too Long",
                      "The size of the request headers is too long.", 346),
    "Number": (400, "Bad Request", "Bad Request - Invalid Content Length",
               "There is an invalid content length or chunk length in the request.", 374),
    "Invalid_CR/LF": (400, "Bad Request", "Bad Request - Invalid CR or LF",
                      "The request has an invalid CR or LF.", 338),
    "Forbidden": (403, "Forbidden", "Forbidden URL", "The request URL is forbidden.", 312),
    "NotFound": (404, "Not Found", "Not Found", "The requested resource is not found.", 315),
    "LengthRequired": (411, "Length Required", "Length Required",
                       "The request must be chunked or have a content length.", 344),
    "URL_Length": (414, "Request URL Too Long", "Request URL Too Long",
                   "The request URL is too long.", 329),
    "N/I": (501, "Not Implemented", "Not Implemented",
            "The request transfer encoding type is not supported.", 343),
    "Version_N/S": (505, "HTTP Version Not Supported", "HTTP Version Not Supported",
                    "The HTTP version is not supported.", 347),
}
for _reason in ("QueueFull", "Disabled", "ConnLimit", "N/A", "AppOffline", "AppShutdown"):
    ANSWERS[_reason] = (503, "Service Unavailable", "Service Unavailable",
                        "The service is unavailable.", 326)

DATE = (rb"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3][0-9] "
        rb"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4} "
        rb"[0-2][0-9]:[0-5][0-9]:[0-6][0-9] GMT")


def own_body(reason):
    """Status and body of the answer for an s-reason."""
    status, title, heading, sentence, length = ANSWERS[reason]
    body = ('<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN""http://www.w3.org/TR/html4/strict.dtd">\r\n'
            f"<HTML><HEAD><TITLE>{title}</TITLE>\r\n"
            '<META HTTP-EQUIV="Content-Type" Content="text/html; charset=us-ascii"></HEAD>\r\n'
            f"<BODY><h2>{heading}</h2>\r\n"
            f"<hr><p>HTTP Error {status}. {sentence}</p>\r\n"
            "</BODY></HTML>\r\n").encode()
    assert len(body) == length, f"{reason}: the table says {length}, the text has {len(body)}"
    return status, body


def own_answer(raw, reason, head_only=False):
    """Asserts that raw is the whole answer for an s-reason, byte for byte, and nothing else."""
    status, body = own_body(reason)
    title = ANSWERS[reason][1]
    dated = re.sub(rb"\r\nDate: " + DATE + rb"\r\n", b"\r\nDate: D\r\n", raw, count=1)
    want = (f"HTTP/1.1 {status} {title}\r\n"
            "Content-Type: text/html; charset=us-ascii\r\n"
            "Server: Microsoft-HTTPAPI/2.0\r\n"
            "Date: D\r\n"
            "Connection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()
    assert dated == (want if head_only else want + body)
