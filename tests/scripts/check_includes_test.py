"""scripts/check-includes.py accepts this tree and names each kind of violation."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def check(*arguments):
    return subprocess.run([sys.executable, ROOT / "scripts/check-includes.py", *arguments], text=True, capture_output=True)


def check_source(path, text):
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, path)
        file.parent.mkdir(parents=True)
        file.write_text(text)
        return check(folder)


class CheckIncludes(unittest.TestCase):
    def refuses(self, path, text, line, reason):
        done = check_source(path, text)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn(f"{path}:{line}: ", done.stdout)
        self.assertIn(reason, done.stdout)
        self.assertEqual(done.stdout.count("\n"), 1, done.stdout)

    def accepts(self, path, text):
        done = check_source(path, text)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_this_tree(self):
        done = check()
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_upward_include(self):
        self.refuses("core/a.h", '#include <string>\n\n#include "image/image.h"\n', 3, "core must not depend on image")

    def test_sideways_include(self):
        self.refuses("data/a.cpp", '#include "cipher/le.h"\n', 1, "data must not depend on cipher")
        self.refuses("service/a.cpp", '#include "nn/unet.h"\n', 1, "service must not depend on nn")

    def test_angle_brackets_do_not_hide_a_project_header(self):
        self.refuses("image/a.h", "#include <train/trainer.h>\n", 1, "image must not depend on train")

    def test_confined_libraries(self):
        self.refuses("data/a.h", "#include <torch/torch.h>\n", 1, "LibTorch belongs in attack, cli/lab, experiment, measure, nn, train only")
        self.refuses("cli/a.cpp", "  #  include <ATen/Parallel.h>\n", 1, "LibTorch")
        self.refuses("nn/a.cpp", "#include <oneapi/dnnl/dnnl.hpp>\n", 1, "oneDNN belongs in runtime only")
        self.refuses("service/a.cpp", "#include <boost/asio.hpp>\n", 1, "the HTTP library belongs in http, remote only")

    def test_the_client_does_not_reach_the_lab(self):
        for header in ("nn/unet.h", "train/loop.h", "experiment/stage.h", "measure/grant.h", "cli/lab/experiment_command.h"):
            self.refuses("cli/client/a.cpp", f'#include "{header}"\n', 1, "cli/client must not depend on")
        self.refuses("cli/client/a.cpp", "#include <torch/torch.h>\n", 1, "LibTorch")
        self.refuses("cli/a.cpp", '#include "nn/unet.h"\n', 1, "cli must not depend on nn")
        self.refuses("cli/lab/a.cpp", '#include "cli/client/a.h"\n', 1, "cli/lab must not depend on cli/client")

    def test_attacks_do_not_see_what_holds_keys(self):
        self.refuses("attack/a.cpp", '#include "cipher/key_file.h"\n', 1, "sees cipher/key_file.h, which is kept from attack")
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in (("train/run.h", '#include "train/scheme.h"\n'), ("train/scheme.h", ""), ("attack/a.h", '#include "train/run.h"\n')):
                (root / name).parent.mkdir(exist_ok=True)
                (root / name).write_text(text)
            self.assertIn("attack/a.h:1: sees train/scheme.h", check(folder).stdout)

    def test_libtorch_used_without_an_include(self):
        self.refuses("nn/a.cpp", '#include "core/error.h"\n\ntorch::Tensor f();\n', 3, "uses LibTorch")
        self.refuses("cli/lab/a.cpp", "void f(const at::Tensor& t);\n", 1, "uses LibTorch")
        self.accepts("nn/a.cpp", "// as torch::load does\n")
        self.accepts("nn/a.cpp", "#include <ATen/ATen.h>\nat::Tensor f();\n")
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "nn").mkdir()
            (root / "nn/b.h").write_text("#include <torch/torch.h>\n")
            (root / "nn/a.h").write_text('#include "nn/b.h"\n')
            (root / "nn/a.cpp").write_text('#include "nn/a.h"\ntorch::Tensor f();\n')
            self.assertEqual(check(folder).returncode, 0)

    def test_header_without_folder(self):
        self.refuses("core/a.cpp", '#include "a.cpp"\n', 1, "path below src")

    def test_unknown_folder(self):
        self.refuses("util/a.h", "", 1, "folder util has no place")

    def test_allowed(self):
        self.accepts("measure/a.cpp", '#include "measure/a.h"\n#include <c10/util/Half.h>\n#include "core/error.h"\n#include "nn/unet.h"\n')
        self.accepts("cli/client/a.cpp", '#include "cli/command.h"\n#include "http/server.h"\n#include "cipher/le.h"\n#include "data/dataset.h"\n')
        self.accepts("cli/lab/a.cpp", '#include "experiment/stage.h"\n#include "cli/command.h"\n#include <torch/torch.h>\n')
        self.accepts("cli/a.cpp", '#include "image/image.h"\n#include <CLI/CLI.hpp>\n')
        self.accepts("runtime/a.cpp", "#include <dnnl.hpp>\n")
        self.accepts("core/a.cpp", '#include "generated.inc"\n')
        self.accepts("core/a.cpp", '// #include "image/image.h"\n')

    def test_missing_folder(self):
        done = check("/nonexistent")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no folder /nonexistent", done.stderr)


if __name__ == "__main__":
    unittest.main()
