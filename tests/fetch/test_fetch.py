import hashlib
import http.server
import io
import threading
import zipfile

import pytest

from humanclap.cli.main import run
from humanclap.errors import InputError
from humanclap.fetch.download import download
from humanclap.fetch.relate import README_ADDRESS, address_in, fetch_relate

BODY = bytes(range(256)) * 20_000  # 5 MB


class Server(http.server.ThreadingHTTPServer):
    """A file with ranges and an ETag; `cut` ends each answer after so many bytes."""

    body, etag, cut, ranges, daemon_threads = BODY, '"one"', None, True, True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/RELATE_wave.zip"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        if "missing" in self.path:
            self.send_error(404)
            return
        asked = self.headers.get("Range")
        server.asked.append(asked)
        start = 0
        if asked and server.ranges and self.headers.get("If-Range") == server.etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            self.send_header(
                "Content-Range", f"bytes {start}-{len(server.body) - 1}/{len(server.body)}"
            )
        else:
            self.send_response(200)
        self.send_header("ETag", server.etag)
        self.send_header("Content-Length", str(len(server.body) - start))
        self.end_headers()
        end = len(server.body) if server.cut is None else start + server.cut
        self.wfile.write(server.body[start:end])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def no_wait(seconds):
    pass


def test_a_file_is_brought_once_and_its_hash_recorded(server, tmp_path):
    path = tmp_path / "file.zip"
    seen = []
    first = download(server.url, path, progress=lambda *step: seen.append(step))
    assert path.read_bytes() == BODY
    assert first.sha256 == hashlib.sha256(BODY).hexdigest()
    assert first.brought == len(BODY)
    assert seen[-1] == (len(BODY), len(BODY), "bytes")
    assert (tmp_path / "file.zip.sha256").read_text() == f"{first.sha256}  file.zip\n"
    assert download(server.url, path).brought == 0
    assert len(server.asked) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file.zip", "file.zip.sha256"]


def test_a_broken_connection_goes_on_where_it_was(server, tmp_path):
    server.cut = 2_000_000
    found = download(server.url, tmp_path / "file.zip", wait=no_wait)
    assert (tmp_path / "file.zip").read_bytes() == BODY
    assert found.brought == len(BODY)
    assert server.asked == [None, "bytes=2000000-", "bytes=4000000-"]


def test_an_interrupted_call_goes_on_in_the_next(server, tmp_path):
    class StopError(Exception):
        pass

    def stop(done, total, note):
        if done > 2_000_000:
            raise StopError

    path = tmp_path / "file.zip"
    with pytest.raises(StopError):
        download(server.url, path, progress=stop)
    kept = (tmp_path / "file.zip.part").stat().st_size
    assert 0 < kept < len(BODY)
    found = download(server.url, path)
    assert path.read_bytes() == BODY
    assert found.brought == len(BODY) - kept


@pytest.mark.parametrize("change", ["etag", "ranges"])
def test_a_part_of_another_file_or_without_ranges_starts_anew(server, tmp_path, change):
    server.cut = 3_000_000
    path = tmp_path / "file.zip"
    answers = iter([None])

    def stop(seconds):
        next(answers)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(server.url, path, wait=stop)
    server.cut = None
    if change == "etag":
        server.etag, server.body = '"two"', BODY[::-1]
    else:
        server.ranges = False
    download(server.url, path, wait=no_wait)
    assert path.read_bytes() == server.body


def test_a_server_that_sends_nothing_is_given_up_and_the_part_kept(server, tmp_path):
    server.cut = 0
    with pytest.raises(InputError, match=r"given up after 5 tries \(the connection ended early\)"):
        download(server.url, tmp_path / "file.zip", wait=no_wait)
    assert (tmp_path / "file.zip.part").is_file()


def test_other_bytes_than_expected_are_refused(server, tmp_path):
    path = tmp_path / "file.zip"
    with pytest.raises(InputError, match="expected says 00"):
        download(server.url, path, sha256="00")
    download(server.url, path)
    path.write_bytes(b"x")
    with pytest.raises(InputError, match=r"file\.zip\.sha256 says"):
        download(server.url, path)


def test_bad_addresses_are_named(server, tmp_path):
    with pytest.raises(InputError, match=r"missing.zip: HTTP Error 404"):
        download(server.url.replace("RELATE_wave", "missing"), tmp_path / "x", wait=no_wait)
    with pytest.raises(InputError, match="begins with http"):
        download("file:///etc/passwd", tmp_path / "x")


# -- RELATE ---------------------------------------------------------------------------------


def archive(names, text=b"RIFF"):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name in names:
            file.writestr(name, text * 100)
    return packed.getvalue()


CLIPS = ("RELATE_wave/audiocaps/train/1.wav", "RELATE_wave/tango2/test/2.wav")


def test_the_address_is_that_of_the_datasets_readme(shared):
    assert address_in(shared / "data" / "relate" / "README.md") == README_ADDRESS


def test_relate_is_unpacked_and_rated_clips_that_miss_are_named(server, tmp_path):
    server.body = archive(CLIPS)
    scores = tmp_path / "REL.csv"
    scores.write_text("wavname,text\n/audiocaps/train/1.wav,a\n/tango/test/9.wav,b\n")
    found = fetch_relate(tmp_path / "out", url=server.url, scores=scores)
    assert (tmp_path / "out" / "RELATE_wave" / "tango2" / "test" / "2.wav").stat().st_size == 400
    assert (found.clips, found.missing) == (2, ("tango/test/9.wav",))
    assert not (tmp_path / "out" / "RELATE_wave.zip").exists()
    asked = len(server.asked)
    again = fetch_relate(tmp_path / "out", url=server.url)
    assert (again.clips, again.sha256, len(server.asked)) == (2, found.sha256, asked)
    with pytest.raises(InputError, match="of an archive with SHA-256"):
        fetch_relate(tmp_path / "out", url=server.url, sha256="00")


def test_a_damaged_or_strange_archive_is_refused(server, tmp_path):
    broken = bytearray(archive(CLIPS))
    broken[60] ^= 0xFF  # inside the first clip: its CRC no longer fits
    server.body = bytes(broken)
    with pytest.raises(InputError, match="damaged"):
        fetch_relate(tmp_path / "a", url=server.url)
    assert not list((tmp_path / "a").rglob("1.wav"))
    server.body = archive(["../../evil/train/1.wav"])
    with pytest.raises(InputError, match="is not of the form"):
        fetch_relate(tmp_path / "b", url=server.url)
    server.body = archive(["readme.txt"])
    with pytest.raises(InputError, match="holds no wav files"):
        fetch_relate(tmp_path / "c", url=server.url)


def test_the_command_tells_what_came(server, tmp_path, capsys):
    server.body = archive(CLIPS)
    (tmp_path / "README.md").write_text(f"clips: [here]({server.url})")
    arguments = ["data", "relate", "-o", str(tmp_path / "out")]
    assert run([*arguments, "--readme", str(tmp_path / "README.md")]) == 0
    printed = capsys.readouterr()
    assert "2 clips in" in printed.out
    assert server.url in printed.err
    assert run([*arguments, "--readme", "x", "--url", "y"]) == 2
