"""Container images for Colosseum, written as streams: no container engine, nothing unpacked."""

from phyemu.container.access import SshAccess, read_access
from phyemu.container.accounts import Rewritten
from phyemu.container.addition import AddedFile, Addition, Content, FileContent, TextContent
from phyemu.container.base_image import BaseImage, BaseLayout, survey_base
from phyemu.container.gpu_image import package_gpu
from phyemu.container.gzip_stream import GzipStream
from phyemu.container.image_name import IMAGE_NAME, MAX_NAME_LENGTH, image_name
from phyemu.container.node_content import NodeContent
from phyemu.container.packaged_image import PackagedImage
from phyemu.container.public_key import PublicKey, read_public_keys
from phyemu.container.srn_image import package_srn
from phyemu.container.tar_writer import TarWriter

__all__ = [
    "IMAGE_NAME",
    "MAX_NAME_LENGTH",
    "AddedFile",
    "Addition",
    "BaseImage",
    "BaseLayout",
    "Content",
    "FileContent",
    "GzipStream",
    "NodeContent",
    "PackagedImage",
    "PublicKey",
    "Rewritten",
    "SshAccess",
    "TarWriter",
    "TextContent",
    "image_name",
    "package_gpu",
    "package_srn",
    "read_access",
    "read_public_keys",
    "survey_base",
]
