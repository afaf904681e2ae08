"""Models that make things: autoencoders, adversaries, diffusion, flows, energies, styles, neural fields."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from doctor.animals.vision import digits
from doctor.zoo import images, member, plain


@member
def vae_of_digits_as_in_the_official_example():
    class VAE(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.fc21, self.fc22 = nn.Linear(784, 64), nn.Linear(64, 8), nn.Linear(64, 8)
            self.fc3, self.fc4 = nn.Linear(8, 64), nn.Linear(64, 784)

        def encode(self, x):
            h1 = F.relu(self.fc1(x))
            return self.fc21(h1), self.fc22(h1)

        def reparameterize(self, mu, logvar):
            std = torch.exp(0.5 * logvar)
            return mu + torch.randn_like(std) * std

        def forward(self, x):
            mu, logvar = self.encode(x.view(-1, 784))
            z = self.reparameterize(mu, logvar)
            return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, logvar

    def loss_function(output, x):
        recon_x, mu, logvar = output
        bce = F.binary_cross_entropy(recon_x, x.view(-1, 784), reduction="sum")
        return bce - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())

    x = (digits()[0] * 0.3081 + 0.1307).clamp(0, 1)
    return plain(VAE(), loss_function, (x, x))


@member
def convolutional_vae_with_groups():
    class VAE(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(
                nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.LeakyReLU(), nn.Conv2d(16, 32, 3, 2, 1),
                nn.BatchNorm2d(32), nn.LeakyReLU(), nn.Flatten(),
            )  # fmt: skip
            self.fc_mu, self.fc_var, self.back = nn.Linear(128, 6), nn.Linear(128, 6), nn.Linear(6, 128)
            self.decoder = nn.Sequential(
                nn.ConvTranspose2d(32, 16, 3, 2, 1, 1), nn.BatchNorm2d(16), nn.LeakyReLU(),
                nn.ConvTranspose2d(16, 3, 3, 2, 1, 1), nn.Tanh(),
            )  # fmt: skip

        def forward(self, x):
            h = self.encoder(x)
            mu, log_var = self.fc_mu(h), self.fc_var(h)
            z = mu + torch.randn_like(mu) * (0.5 * log_var).exp()
            return [self.decoder(self.back(z).view(-1, 32, 2, 2)), x, mu, log_var]

    def loss(out, _):
        recons, x, mu, log_var = out
        kld = torch.mean(-0.5 * torch.sum(1 + log_var - mu**2 - log_var.exp(), dim=1), dim=0)
        return F.mse_loss(recons, x) + 0.005 * kld

    x = torch.rand(12, 3, 8, 8) * 2 - 1
    return plain(VAE(), loss, (x, x))


@member
def vector_quantised_autoencoder():
    class VQ(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder, self.codes = nn.Linear(10, 4), nn.Linear(4, 10), nn.Embedding(16, 4)
            nn.init.uniform_(self.codes.weight, -1 / 4, 1 / 4)

        def forward(self, x):
            z = self.encoder(x)
            nearest = torch.cdist(z, self.codes.weight).argmin(1)
            q = self.codes(nearest)
            self.loss = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())
            return self.decoder(z + (q - z).detach())

    net, x = VQ(), torch.randn(24, 10)
    return plain(net, lambda out, y: F.mse_loss(out, y) + net.loss, (x, x))


@member
def denoising_autoencoder_with_noise_in_train_mode():
    class Denoise(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(20, 12), nn.ReLU(), nn.Linear(12, 20))

        def forward(self, x):
            return self.net(x + 0.3 * torch.randn_like(x) if self.training else x)

    x = torch.randn(32, 4) @ torch.randn(4, 20)
    return plain(Denoise(), nn.MSELoss(), (x, x))


@member
def sparse_autoencoder_of_activations():
    class Sparse(nn.Module):
        def __init__(self):
            super().__init__()
            self.enc, self.dec = nn.Linear(16, 64), nn.Linear(64, 16)
            self.dec.weight.data = self.enc.weight.data.t().clone()

        def forward(self, x):
            f = F.relu(self.enc(x - self.dec.bias))
            return self.dec(f), f

    x = torch.randn(64, 16)
    return plain(Sparse(), lambda out, y: F.mse_loss(out[0], y) + 1e-3 * out[1].abs().sum(1).mean(), (x, x))


@member
def deep_convolutional_gan():
    def weights_init(m):
        name = m.__class__.__name__
        if "Conv" in name:
            nn.init.normal_(m.weight.data, 0.0, 0.02)
        elif "BatchNorm" in name:
            nn.init.normal_(m.weight.data, 1.0, 0.02)
            nn.init.constant_(m.bias.data, 0)

    generator = nn.Sequential(
        nn.ConvTranspose2d(10, 32, 4, 1, 0, bias=False), nn.BatchNorm2d(32), nn.ReLU(True),
        nn.ConvTranspose2d(32, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(True),
        nn.ConvTranspose2d(16, 3, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    discriminator = nn.Sequential(
        nn.Conv2d(3, 16, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(16, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(32, 1, 4, 1, 0, bias=False), nn.Sigmoid(), nn.Flatten(0),
    )  # fmt: skip
    generator.apply(weights_init)
    discriminator.apply(weights_init)
    criterion, real = nn.BCELoss(), torch.rand(8, 3, 16, 16) * 2 - 1
    opt_d = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    opt_g = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def step():
        discriminator.zero_grad()
        label = torch.full((8,), 1.0)
        criterion(discriminator(real), label).backward()
        fake = generator(torch.randn(8, 10, 1, 1))
        label.fill_(0.0)
        criterion(discriminator(fake.detach()), label).backward()
        opt_d.step()
        generator.zero_grad()
        label.fill_(1.0)
        criterion(discriminator(fake), label).backward()
        opt_g.step()

    return {
        "model": discriminator, "loss": criterion, "batch": (real, torch.ones(8)), "optimizer": [opt_d, opt_g],
        "step": step,
    }  # fmt: skip


@member
def wasserstein_critic_with_clipped_weights():
    generator = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
    critic = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 1))
    opt_c = torch.optim.RMSprop(critic.parameters(), lr=5e-5)
    opt_g = torch.optim.RMSprop(generator.parameters(), lr=5e-5)
    data = torch.randn(32, 2) * 0.3 + torch.tensor([1.0, -1.0])

    def step():
        for _ in range(3):
            opt_c.zero_grad()
            fake = generator(torch.randn(32, 4)).detach()
            (critic(fake).mean() - critic(data).mean()).backward()
            opt_c.step()
            for p in critic.parameters():
                p.data.clamp_(-0.05, 0.05)
        opt_g.zero_grad()
        (-critic(generator(torch.randn(32, 4))).mean()).backward()
        opt_g.step()

    return {
        "model": critic, "loss": lambda out, y: (out * y).mean(), "batch": (data, -torch.ones(32, 1)),
        "optimizer": [opt_c, opt_g], "step": step,
    }  # fmt: skip


@member
def hinge_gan_with_spectral_norm_and_an_average_generator():
    import copy

    sn = nn.utils.parametrizations.spectral_norm
    g = nn.Sequential(nn.Linear(6, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 8))
    d = nn.Sequential(sn(nn.Linear(8, 32)), nn.LeakyReLU(0.1), sn(nn.Linear(32, 1)))
    mean = copy.deepcopy(g).eval().requires_grad_(False)
    og, od = (torch.optim.Adam(p.parameters(), 1e-4, (0.0, 0.9)) for p in (g, d))
    real = torch.randn(16, 8)

    def step():
        od.zero_grad()
        fake = g(torch.randn(16, 6))
        (F.relu(1 - d(real)).mean() + F.relu(1 + d(fake.detach())).mean()).backward()
        od.step()
        og.zero_grad()
        (-d(fake).mean()).backward()
        og.step()
        with torch.no_grad():
            for a, b in zip(mean.parameters(), g.parameters(), strict=True):
                a.lerp_(b, 0.01)

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.g, self.d = g, d

        def forward(self, z):
            return self.d(self.g(z))

    return {
        "model": Whole(), "loss": lambda out: -out.mean(), "batch": torch.randn(16, 6), "optimizer": {"g": og,
        "d": od},
        "step": step,
    }  # fmt: skip


@member
def conditional_gan_in_one_module():
    class CGAN(nn.Module):
        def __init__(self):
            super().__init__()
            self.label = nn.Embedding(4, 4)
            self.g = nn.Sequential(nn.Linear(8, 24), nn.LeakyReLU(0.2), nn.Linear(24, 6), nn.Tanh())
            self.d = nn.Sequential(nn.Linear(10, 24), nn.LeakyReLU(0.2), nn.Dropout(0.4), nn.Linear(24, 1))

        def forward(self, z, y):
            e = self.label(y)
            return self.d(torch.cat([self.g(torch.cat([z, e], 1)), e], 1))

    return plain(
        CGAN(), nn.BCEWithLogitsLoss(), ((torch.randn(12, 4), torch.arange(12) % 4), torch.ones(12, 1)),
    )  # fmt: skip


class TimeUNet(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.time = nn.Sequential(nn.Linear(8, width), nn.SiLU(), nn.Linear(width, width))
        self.first, self.down = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, width, 3, 2, 1)
        self.middle, self.norm = nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(4, width)
        self.up, self.last = nn.ConvTranspose2d(width, width, 2, 2), nn.Conv2d(2 * width, 1, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x, t):
        w = torch.exp(-math.log(100) * torch.arange(4) / 4)
        e = torch.cat([(t[:, None] * w).sin(), (t[:, None] * w).cos()], 1)
        a = F.silu(self.first(x))
        b = self.down(a) + self.time(e)[:, :, None, None]
        b = b + self.middle(F.silu(self.norm(b)))
        return self.last(torch.cat([a, self.up(b)], 1))


@member
def denoising_diffusion_with_a_zero_last_layer():
    net, x0 = TimeUNet(), torch.randn(8, 1, 8, 8).clamp(-1, 1)
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 100), 0)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-4)

    def noised():
        t, e = torch.randint(0, 100, (8,)), torch.randn_like(x0)
        a = kept[t][:, None, None, None]
        return (a.sqrt() * x0 + (1 - a).sqrt() * e, t.float()), e

    def step():
        given, e = noised()
        loss = F.mse_loss(net(*given), e)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()

    given, e = noised()
    return {"model": net, "loss": F.mse_loss, "batch": (given, e), "optimizer": optimizer, "step": step}


@member
def flow_matching_of_two_moons():
    net = nn.Sequential(nn.Linear(3, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2))
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
    angle = torch.rand(64) * math.pi
    x1 = torch.stack([angle.cos(), angle.sin()], 1)

    def pair():
        x0, t = torch.randn_like(x1), torch.rand(64, 1)
        return torch.cat([(1 - t) * x0 + t * x1, t], 1), x1 - x0

    def step():
        x, v = pair()
        optimizer.zero_grad()
        ((net(x) - v) ** 2).mean().backward()
        optimizer.step()

    return {
        "model": net,
        "loss": lambda a, b: ((a - b) ** 2).mean(),
        "batch": pair(),
        "optimizer": optimizer,
        "step": step,
    }


@member
def score_matching_weighted_by_sigma():
    class Score(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(
                nn.Linear(3, 64), nn.Softplus(), nn.Linear(64, 64), nn.Softplus(), nn.Linear(64, 2)
            )

        def forward(self, x, sigma):
            return self.net(torch.cat([x, sigma.log()], 1)) / sigma

    sigma, noise = torch.rand(48, 1) * 0.9 + 0.1, torch.randn(48, 2)
    x = torch.randn(48, 2) * 0.5 + sigma * noise
    return plain(Score(), lambda s, z: ((s * sigma[: len(s)] + z) ** 2).sum(1).mean(), ((x, sigma), noise))


@member
def real_nvp():
    class Coupling(nn.Module):
        def __init__(self, mask):
            super().__init__()
            self.register_buffer("mask", mask)
            self.s = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 4), nn.Tanh())
            self.t = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 4))

        def forward(self, x):
            kept = x * self.mask
            s, t = self.s(kept) * (1 - self.mask), self.t(kept) * (1 - self.mask)
            return kept + (1 - self.mask) * (x * s.exp() + t), s.sum(1)

    class Flow(nn.Module):
        def __init__(self):
            super().__init__()
            m = torch.tensor([1.0, 0.0, 1.0, 0.0])
            self.layers = nn.ModuleList(Coupling(mask) for mask in (m, 1 - m, m, 1 - m))

        def forward(self, x):
            total = 0.0
            for layer in self.layers:
                x, s = layer(x)
                total = total + s
            return x, total

    def loss(out):
        z, det = out
        return (0.5 * (z**2).sum(1) + 2 * math.log(2 * math.pi) - det).mean()

    net, x = Flow(), torch.randn(32, 4) @ torch.randn(4, 4)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4, weight_decay=1e-5)

    def step():
        optimizer.zero_grad()
        loss(net(x)).backward()
        optimizer.step()

    return {"model": net, "loss": loss, "batch": x, "optimizer": optimizer, "step": step}


@member
def masked_autoregressive_density():
    class Masked(nn.Linear):
        def __init__(self, mask):
            super().__init__(mask.shape[1], mask.shape[0])
            self.register_buffer("mask", mask)

        def forward(self, x):
            return F.linear(x, self.mask * self.weight, self.bias)

    order, hidden = torch.arange(6), torch.arange(40) % 5
    one = (hidden[:, None] >= order[None]).float()
    two = (order[:, None] > hidden[None]).float()
    net = nn.Sequential(Masked(one), nn.ReLU(), Masked(two))
    x = (torch.rand(48, 6) < torch.tensor([0.9, 0.2, 0.5, 0.7, 0.3, 0.6])).float()
    return plain(net, nn.BCEWithLogitsLoss(), (x, x), torch.optim.Adam(net.parameters(), 1e-3))


@member
def pixel_cnn():
    class MaskedConv(nn.Conv2d):
        def __init__(self, kind, *args):
            super().__init__(*args, padding="same")
            mask, middle = torch.ones_like(self.weight), self.kernel_size[0] // 2
            mask[:, :, middle, middle + (kind == "B") :] = 0
            mask[:, :, middle + 1 :] = 0
            self.register_buffer("mask", mask)

        def forward(self, x):
            self.weight.data *= self.mask
            return super().forward(x)

    net = nn.Sequential(
        MaskedConv("A", 1, 16, 5), nn.ReLU(), MaskedConv("B", 16, 16, 3), nn.ReLU(), nn.Conv2d(16, 4, 1)
    )
    levels = torch.randint(0, 4, (8, 8, 8))
    return plain(net, F.cross_entropy, (levels[:, None] / 3.0, levels))


@member
def energy_model_with_langevin_samples():
    energy = nn.Sequential(nn.Linear(2, 32), nn.SiLU(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(energy.parameters(), lr=1e-3)
    data = torch.randn(32, 2) + 1

    def sample():
        x = torch.randn(32, 2, requires_grad=True)
        for _ in range(3):
            (grad,) = torch.autograd.grad(energy(x).sum(), x)
            x = (x - 0.05 * grad + 0.05 * torch.randn_like(x)).detach().requires_grad_()
        return x.detach()

    def step():
        low, high = energy(data), energy(sample())
        loss = low.mean() - high.mean() + 0.1 * (low**2 + high**2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def loss(out, sign):
        return (out.squeeze(1) * sign).mean() + 0.1 * (out**2).mean()

    return {
        "model": energy, "loss": loss, "batch": (data, torch.ones(32)), "optimizer": optimizer, "step": step
    }  # fmt: skip


@member
def style_of_a_picture_by_gram_matrices():
    features = (
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU()).eval().requires_grad_(False)
    )

    class Picture(nn.Module):
        def __init__(self, start):
            super().__init__()
            self.pixels = nn.Parameter(start.clone())

        def forward(self):
            return features(self.pixels)

    def gram(f):
        f = f.flatten(2)
        return f @ f.transpose(1, 2) / f[0].numel()

    picture, style = Picture(torch.rand(1, 3, 12, 12)), gram(features(torch.rand(1, 3, 12, 12)))
    optimizer = torch.optim.Adam(picture.parameters(), lr=0.02)

    def step():
        optimizer.zero_grad()
        F.mse_loss(gram(picture()), style).backward()
        optimizer.step()

    return {"model": picture, "optimizer": optimizer, "step": step}


@member
def transforming_net_with_instance_norm():
    def block(a, b, stride=1):
        return [nn.ReflectionPad2d(1), nn.Conv2d(a, b, 3, stride), nn.InstanceNorm2d(b, affine=True), nn.ReLU()]

    net = nn.Sequential(
        *block(3, 8), *block(8, 16, 2), nn.Upsample(scale_factor=2, mode="nearest"), *block(16, 8),
        nn.ReflectionPad2d(1), nn.Conv2d(8, 3, 3),
    )  # fmt: skip
    x = torch.rand(4, 3, 12, 12)
    return plain(net, lambda y, x: F.mse_loss(y, x) + 1e-4 * (y[..., 1:] - y[..., :-1]).abs().sum(), (x, 1 - x))


@member
def cycle_of_two_translators():
    def net():
        return nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 6))

    class Cycle(nn.Module):
        def __init__(self):
            super().__init__()
            self.ab, self.ba = net(), net()
            self.da, self.db = (
                nn.Sequential(nn.Linear(6, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1)) for _ in range(2)
            )

        def forward(self, a):
            b = self.ab(a)
            return self.ba(b), self.db(b)

    model, a, b = Cycle(), torch.randn(16, 6), torch.randn(16, 6) + 1
    import itertools

    og = torch.optim.Adam(itertools.chain(model.ab.parameters(), model.ba.parameters()), 2e-4, (0.5, 0.999))
    od = torch.optim.Adam([*model.da.parameters(), *model.db.parameters()], 2e-4, (0.5, 0.999))

    def step():
        og.zero_grad()
        fb, fa = model.ab(a), model.ba(b)
        fool = (model.db(fb) - 1).pow(2).mean() + (model.da(fa) - 1).pow(2).mean()
        (fool + 10 * (F.l1_loss(model.ba(fb), a) + F.l1_loss(model.ab(fa), b))).backward()
        og.step()
        od.zero_grad()
        for d, real, fake in ((model.da, a, fa), (model.db, b, fb)):
            (((d(real) - 1) ** 2).mean() + (d(fake.detach()) ** 2).mean()).backward()
        od.step()

    return {
        "model": model, "optimizer": [og, od], "step": step
    }  # fmt: skip


@member
def super_resolution_by_pixel_shuffle():
    class Net(nn.Module):
        def __init__(self, upscale_factor=2):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(1, 16, 5, padding=2), nn.Conv2d(16, 16, 3, padding=1)
            self.conv3, self.pixel_shuffle = (
                nn.Conv2d(16, upscale_factor**2, 3, padding=1),
                nn.PixelShuffle(upscale_factor),
            )
            for conv in (self.conv1, self.conv2):
                nn.init.orthogonal_(conv.weight, nn.init.calculate_gain("relu"))
            nn.init.orthogonal_(self.conv3.weight)

        def forward(self, x):
            return self.pixel_shuffle(self.conv3(F.relu(self.conv2(F.relu(self.conv1(x))))))

    large = F.avg_pool2d(torch.rand(6, 1, 20, 20), 3, 1, 1)[..., 2:18, 2:18]
    return plain(Net(), nn.MSELoss(), (F.avg_pool2d(large, 2), large))


@member
def neural_field_with_fourier_features():
    class Field(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("freq", 2.0 ** torch.arange(5))
            self.one, self.two, self.skip, self.out = (
                nn.Linear(20, 64),
                nn.Linear(64, 64),
                nn.Linear(84, 64),
                nn.Linear(64, 3),
            )

        def forward(self, p):
            e = (p[..., None] * self.freq).flatten(1)
            e = torch.cat([e.sin(), e.cos()], 1)
            h = F.relu(self.two(F.relu(self.one(e))))
            return torch.sigmoid(self.out(F.relu(self.skip(torch.cat([h, e], 1)))))

    p = torch.rand(128, 2)
    colour = torch.stack([p[:, 0], (p[:, 1] * 6).sin() / 2 + 0.5, (p.sum(1) > 1).float()], 1)
    net = Field()
    optimizer = torch.optim.Adam(net.parameters(), 5e-4)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.99)
    case = plain(net, F.mse_loss, (p, colour), optimizer)
    inner = case["step"]

    def step():
        inner()
        schedule.step()

    return {**case, "step": step}


@member
def radiance_along_rays():
    class Nerf(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(3, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU())
            self.sigma, self.colour = (
                nn.Linear(48, 1),
                nn.Sequential(nn.Linear(51, 24), nn.ReLU(), nn.Linear(24, 3)),
            )

        def forward(self, origin, direction):
            depth = torch.linspace(0.5, 2, 8)
            point = origin[:, None] + direction[:, None] * depth[:, None]
            h = self.body(point)
            density = F.relu(self.sigma(h)).squeeze(-1)
            colour = torch.sigmoid(self.colour(torch.cat([h, direction[:, None].expand_as(point)], -1)))
            alpha = 1 - torch.exp(-density * 0.2)
            through = torch.cumprod(torch.cat([torch.ones_like(alpha[:, :1]), 1 - alpha + 1e-10], 1), 1)[:, :-1]
            return ((alpha * through)[..., None] * colour).sum(1)

    direction = F.normalize(torch.randn(32, 3), dim=1)
    return plain(Nerf(), F.mse_loss, ((torch.randn(32, 3) * 0.1, direction), direction * 0.5 + 0.5))


@member
def siren():
    class Sine(nn.Module):
        def __init__(self, a, b, first=False):
            super().__init__()
            self.linear = nn.Linear(a, b)
            bound = 1 / a if first else math.sqrt(6 / a) / 30
            nn.init.uniform_(self.linear.weight, -bound, bound)

        def forward(self, x):
            return torch.sin(30 * self.linear(x))

    net = nn.Sequential(Sine(2, 48, True), Sine(48, 48), nn.Linear(48, 1))
    p = torch.rand(100, 2) * 2 - 1
    return plain(
        net, F.mse_loss, (p, (p[:, :1] * 9).sin() * (p[:, 1:] * 7).cos()), torch.optim.Adam(net.parameters(), 1e-4)
    )


@member
def physics_informed_net():
    net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    t = torch.linspace(0, 1, 30)[:, None]

    def step():
        x = t.clone().requires_grad_()
        u = net(x)
        (du,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        (ddu,) = torch.autograd.grad(du.sum(), x, create_graph=True)
        loss = (ddu + 9 * u).pow(2).mean() + 10 * (net(torch.zeros(1, 1)) - 1).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return {"model": net, "loss": F.mse_loss, "batch": (t, torch.cos(3 * t)), "optimizer": optimizer, "step": step}


@member
def dreaming_unet_with_skip_connections_and_batchnorm():
    def double(a, b):
        return nn.Sequential(
            nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(inplace=True), nn.Conv2d(b, b, 3, padding=1),
            nn.BatchNorm2d(b), nn.ReLU(inplace=True),
        )  # fmt: skip

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.inc, self.down = double(3, 8), nn.Sequential(nn.MaxPool2d(2), double(8, 16))
            self.up, self.conv, self.outc = (
                nn.ConvTranspose2d(16, 8, 2, stride=2),
                double(16, 8),
                nn.Conv2d(8, 1, 1),
            )

        def forward(self, x):
            x1 = self.inc(x)
            x2 = self.up(self.down(x1))
            dy, dx = x1.size(2) - x2.size(2), x1.size(3) - x2.size(3)
            x2 = F.pad(x2, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
            return self.outc(self.conv(torch.cat([x1, x2], dim=1)))

    def dice(logits, y):
        p = torch.sigmoid(logits)
        inter = (p * y).sum((1, 2, 3))
        overlap = (2 * inter + 1) / (p.sum((1, 2, 3)) + y.sum((1, 2, 3)) + 1)
        return F.binary_cross_entropy_with_logits(logits, y) + 1 - overlap.mean()

    net, (x, _) = UNet(), images(6, 3, 13)
    optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-5, weight_decay=1e-8, momentum=0.999)
    case = plain(net, dice, (x, (x.mean(1, keepdim=True) > 0).float()), optimizer)

    def step():
        net.train()
        loss = dice(net(x), case["batch"][1])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()

    return {**case, "step": step}
